"""Reads an instances file piece by piece, so that it takes little more memory than what is kept of it.

As dicts and lists of Python an annotation takes about a kilobyte, and its text as much again; in columns it takes 66 bytes.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from resdet.data.formats.coco_rows import TRAINING_ANNOTATION
from resdet.files import regular

_CHUNK = 1 << 22  # characters that are read at once
_ENOUGH = 1 << 18  # characters in which an object is likely to end
_BLOCK = 10_000  # annotations that are checked at once
_SPACE = re.compile(r"[ \t\n\r]*")
_GOES_ON = ("", ".", "e", "E")  # after an integer: there is more of the number, or may be
_NONE = float("nan")  # of the areas that are not given


class Annotations:
    """Sound rows of annotations, in columns; iterating makes dicts of them again, boxes and areas as floats.

    Sound: each row for itself follows the rules of ``TRAINING_ANNOTATION``.
    """

    def __init__(self) -> None:
        self._ids: dict[str, array[int]] = {key: array("q") for key in ("id", "image_id", "category_id")}
        self._flags: dict[str, array[int]] = {key: array("b") for key in ("iscrowd", "difficult")}
        self._boxes = array("d")
        self._areas = array("d")

    def __len__(self) -> int:
        return len(self._areas)

    def add(self, rows: list[Any]) -> bool:
        """Take rows, if they are sound."""
        if not all(isinstance(row, dict) for row in rows) or next(iter(TRAINING_ANNOTATION.check(rows)), None) is not None:
            return False
        for key, column in self._ids.items():
            column.extend(row[key] for row in rows)
        for key, column in self._flags.items():
            column.extend(int(row.get(key) or 0) for row in rows)
        for row in rows:
            self._boxes.extend(row["bbox"])
        self._areas.extend(_NONE if row.get("area") is None else row["area"] for row in rows)
        return True

    def __iter__(self) -> Iterator[dict[str, Any]]:
        boxes = iter(self._boxes)
        columns = zip(*self._ids.values(), *self._flags.values(), self._areas, boxes, boxes, boxes, boxes, strict=True)
        for key, image, category, crowd, difficult, area, *box in columns:
            row = {"id": key, "image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd, "difficult": difficult}
            yield row if area != area else {**row, "area": area}  # noqa: PLR0124  # NaN

    def sound_together(self, known: Mapping[str, Collection[int]]) -> bool:
        """Whether all ids differ, and those of images and categories are known."""
        columns = {key: np.frombuffer(column, np.int64) for key, column in self._ids.items()}
        return len(np.unique(columns["id"])) == len(self) and all(
            bool(np.isin(columns[key], np.fromiter(ids, np.int64, len(ids))).all()) for key, ids in known.items()
        )


def read_instances(path: Path, each_object: Callable[[dict[str, Any]], Any]) -> dict[str, Any] | None:
    """The object that a JSON file holds, with its annotations as ``Annotations`` where they are sound, else as a list of dicts.

    Args:
        path: the file.
        each_object: what to put in place of each object in the sections, innermost first.

    Returns:
        None where the file is not one object in JSON of UTF-8; nothing is told of why.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with regular(path).open(encoding="utf-8-sig", newline="") as file:
            return _Reader(file, each_object).whole()
    except (ValueError, RecursionError):
        return None


class _Reader:
    """Decodes one value after the other from a file, of which it holds a piece."""

    def __init__(self, file: TextIO, each_object: Callable[[dict[str, Any]], Any]) -> None:
        self._file = file
        self._decode = json.JSONDecoder(object_hook=each_object).raw_decode
        self._text, self._place = "", 0
        self._ended = False

    def whole(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._expect("{")
        while self._next() != "}":
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("a key must be a string")
            self._expect(":")
            found[key] = self._annotations() if key == "annotations" and self._next() == "[" else self._section()
            self._separator("}")
        self._expect("}")
        if self._next():
            raise ValueError("there is more after the object")
        return found

    def _section(self) -> Any:
        return list(self._elements()) if self._next() == "[" else self._value()

    def _annotations(self) -> Annotations | list[Any]:
        columns, rows, sound = Annotations(), list[Any](), True
        for row in self._elements():
            rows.append(row)
            if sound and len(rows) == _BLOCK:
                sound = columns.add(rows)
                rows = [] if sound else [*columns, *rows]
        if not sound:
            return rows
        return columns if columns.add(rows) else [*columns, *rows]

    def _elements(self) -> Iterator[Any]:
        self._expect("[")
        while self._next() != "]":
            yield self._value()
            self._separator("]")
        self._expect("]")

    def _separator(self, end: str) -> None:
        """Pass the comma after a value, which is not the last."""
        if self._next() != end:
            self._expect(",")
            if self._next() == end:
                raise ValueError("a comma without a value after it")

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise ValueError(f"{character} is missing")
        self._place += 1

    def _next(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            if len(self._text) - self._place <= _ENOUGH and not self._ended:
                self._more()
            self._place = _SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]
            if self._place < len(self._text) or self._ended:
                return self._text[self._place : self._place + 1]

    def _more(self) -> None:
        read = self._file.read(max(_CHUNK, len(self._text) - self._place))
        self._text, self._place, self._ended = self._text[self._place :] + read, 0, not read

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, place = self._decode(self._text, self._place)
                if self._text[place : place + 1] not in _GOES_ON or self._ended:
                    self._place = place
                    return value
            except ValueError:
                if self._ended:
                    raise
            self._more()
