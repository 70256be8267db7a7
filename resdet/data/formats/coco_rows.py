"""The rules for the rows of COCO's json files, shared by everything that reads them.

Training needs more of an annotation file than evaluation does: evaluation accepts string ids, and images without size or file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from operator import itemgetter
from typing import Any, NamedTuple

from resdet.data.problems import shown

LIMIT = 1e15  # coordinates beyond it cannot be told apart by a unit in float64
_INT64 = 2**63
_HALF = re.compile("[\ud800-\udfff]")
_PLAIN = frozenset((int, float))
# what a row may refer to
_SECTIONS = {"image_id": "images", "category_id": "categories"}


class Rule(NamedTuple):
    """A rule for a value: its wording, its test, and a remark on a value that fails it."""

    text: str
    holds: Callable[[Any], bool]
    remark: Callable[[Any], str] = lambda value: ""  # noqa: ARG005


class RowProblem(NamedTuple):
    """What is wrong with the row at ``place`` of its list; ``where`` is what the row is called."""

    place: int
    where: str
    text: str


@dataclass(frozen=True)
class RowKind:
    """A kind of rows.

    Attributes:
        name: the word for one row.
        required: the rules of the required keys.
        optional: the rules of the keys that may be missing or null.
        unique: required keys whose values must differ between rows.
    """

    name: str
    required: Mapping[str, Rule]
    optional: Mapping[str, Rule] = field(default_factory=dict)
    unique: tuple[str, ...] = ()

    def check(self, rows: Sequence[Any], known: Mapping[str, Collection[Any]] | None = None) -> Iterator[RowProblem]:
        """Yield every problem of ``rows``.

        Args:
            rows: the rows as they are in the file.
            known: the ids that "image_id" and "category_id" may have; any id is allowed when they are not given.
        """
        known = known or {}
        if self._all_hold(rows, known):
            return
        seen: dict[str, set[Any]] = {key: set() for key in self.unique}
        for place, row in enumerate(rows):
            for text in self._problems(row, seen, known):
                yield RowProblem(place, self.where(row, place), text)

    def where(self, row: Any, place: int) -> str:
        """The name of a row in messages: its id, or its place when it has no id."""
        if "id" not in self.required:
            return f"{self.name} {place}"
        return (
            f"{self.name} id {row['id']!r:.40}" if isinstance(row, dict) and "id" in row else f"{self.name} at position {place}"
        )

    def ids(self, rows: Iterable[Any]) -> set[Any]:
        """The ids of ``rows``, including rows with other problems."""
        rule = self.required["id"]
        return {row["id"] for row in rows if isinstance(row, dict) and rule.holds(row.get("id"))}

    def _all_hold(self, rows: Sequence[Any], known: Mapping[str, Collection[Any]]) -> bool:
        """Whether all rows follow the rules. It tests whole columns at once, which is fast in the usual case of no problem."""

        def column(key: str) -> Iterator[Any]:
            return map(itemgetter(key), rows)

        try:
            return (
                all(isinstance(row, dict) for row in rows)
                and all(all(map(rule.holds, column(key))) for key, rule in self.required.items())
                and all(rule.holds(row[key]) for key, rule in self.optional.items() for row in rows if row.get(key) is not None)
                and all(len(set(column(key))) == len(rows) for key in self.unique)
                and all(set(ids).issuperset(column(key)) for key, ids in known.items() if key in self.required)
            )
        except KeyError:  # a row without a key that it needs
            return False

    def _problems(self, row: Any, seen: Mapping[str, set[Any]], known: Mapping[str, Collection[Any]]) -> Iterator[str]:
        if not isinstance(row, dict):
            yield f"must be an object, got {shown(row)}"
            return
        present = {key: rule for key, rule in self.optional.items() if row.get(key) is not None}
        for key, rule in {**self.required, **present}.items():
            value = row.get(key)
            if not rule.holds(value):
                got = shown(value) if key in row else "none (the key is missing)"
                yield f"{key!r} must be {rule.text}, got {got}{rule.remark(value)}"
            elif key in known and value not in known[key]:
                yield f"{key} {shown(value)} is not among the file's {_SECTIONS[key]}"
            elif key in seen and value in seen[key]:
                yield f"{key} {shown(value)} is used twice"
            elif key in seen:
                seen[key].add(value)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number of a size that a coordinate can have (no bool, no NaN, no string)."""
    # most numbers are plain int or float, and testing for those is faster than testing for an abstract class
    number = type(value) in _PLAIN or (isinstance(value, Real) and not isinstance(value, bool))
    return number and -LIMIT < value < LIMIT


def is_box(value: Any) -> bool:
    """Whether ``value`` is ``[x, y, width, height]``: four numbers, width and height at least 0."""
    if not (isinstance(value, (list, tuple)) and len(value) == 4):
        return False
    x, y, width, height = value
    numbers = {type(x), type(y), type(width), type(height)} <= _PLAIN or all(map(is_number, value))
    return numbers and -LIMIT < x < LIMIT and -LIMIT < y < LIMIT and 0 <= width < LIMIT and 0 <= height < LIMIT


def _is_integer(value: Any) -> bool:
    return (type(value) is int or (isinstance(value, int) and not isinstance(value, bool))) and -_INT64 <= value < _INT64


def _are_four_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(type(each) is float or _is_integer(each) for each in value)


_ID = Rule("an integer", _is_integer)
_ANY_ID = Rule("an integer or a string", lambda value: isinstance(value, (int, str)) and not isinstance(value, bool))
_TEXT = Rule("a non-empty string", lambda value: isinstance(value, str) and bool(value))
_NAME = Rule(
    "a non-empty string of whole characters",
    lambda value: isinstance(value, str) and bool(value) and _HALF.search(value) is None,
    lambda value: (
        " (half of a character, a lone surrogate, cannot be written to a file)" if isinstance(value, str) and value else ""
    ),
)
_SIDE = Rule("a positive integer", lambda value: _is_integer(value) and value > 0)
_SIZE = Rule("a number above 0", lambda value: is_number(value) and value > 0)
_FLAG = Rule("0 or 1", lambda value: value in (0, 1))
_AREA = Rule("a finite number >= 0", lambda value: is_number(value) and value >= 0)
# the builder shared by all formats checks finite boxes further
_FOUR_NUMBERS = Rule("a list of 4 numbers", _are_four_numbers)
BOX = Rule("[x, y, width, height], finite numbers with width and height >= 0", is_box)
SCORE = Rule("a finite number", is_number)

_FLAGS = {"iscrowd": _FLAG, "difficult": _FLAG}
TRAINING_CATEGORY = RowKind("category", {"id": _ID, "name": _NAME}, unique=("id", "name"))
TRAINING_IMAGE = RowKind("image", {"id": _ID, "file_name": _TEXT}, {"height": _SIDE, "width": _SIDE}, unique=("id",))
TRAINING_ANNOTATION = RowKind(
    "annotation",
    {"id": _ID, "image_id": _ID, "category_id": _ID, "bbox": _FOUR_NUMBERS},
    {**_FLAGS, "area": _AREA},
    unique=("id",),
)
SCORED_CATEGORY = RowKind("category", {"id": _ID}, unique=("id",))
SCORED_IMAGE = RowKind("image", {"id": _ANY_ID}, {"width": _SIZE, "height": _SIZE}, unique=("id",))
SCORED_ANNOTATION = RowKind(
    "annotation",
    {"id": _ANY_ID, "image_id": _ANY_ID, "category_id": _ID, "bbox": BOX},
    {**_FLAGS, "ignore": _FLAG, "area": _AREA},
    unique=("id",),
)
REGION = RowKind("result", {"image_id": _ID, "bbox": BOX, "score": SCORE})
