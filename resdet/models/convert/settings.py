"""What must be known to run another toolkit's detector beside its tensors: the settings, and how they are read and written."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError
from resdet.structures import PixelConvention
from resdet.wording import shown_briefly

_MOST = 1 << 31  # what no size, number or factor is as large as
_LONGEST = 1000  # letters of a value that is a Python literal
_ABSENT = object()


@dataclass(frozen=True)
class DetectorSettings:
    """The settings of another toolkit's detector.

    Attributes:
        path: the file that says them; None: they are what the toolkit has by itself.
        architecture: options of a detector's config, without the backbone's name.
        test: short_side and max_side, pixels.
        rpn_weights, box_weights: factors of (dx, dy, dw, dh) in the deltas of anchors and of regions.
        pixels: the pixel convention; None: unknown.
        stride_in_1x1: where bottlenecks have their stride; None: unknown.
        names: the class names, in label order; empty: unknown.
        facts: what the tensors must agree with: "classes", "class_agnostic", "backbone"; empty: unknown.
        assumed: what no file says and detections depend on, by the toolkit's own names.
    """

    path: Path | None
    architecture: Mapping[str, Any]
    test: Mapping[str, int]
    rpn_weights: Sequence[float]
    box_weights: Sequence[float]
    pixels: PixelConvention | None = None
    stride_in_1x1: bool | None = None
    names: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """The values that a setting may have: a test, and words for an error."""

    fits: Callable[[Any], bool]
    words: str


@dataclass(frozen=True)
class Setting:
    """A setting: the toolkit's own value, which values are understood, and the options of resdet's config that it becomes."""

    default: Any
    kind: Kind
    places: tuple[str, ...] = ()


Table = Mapping[str, Setting]  # by the toolkit's names, with points between sections


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MOST and math.isfinite(value)


def numbers(least: int, most: int, words: str, *, positive: bool = True) -> Kind:
    """Lists of so many numbers."""

    def fits(value: Any) -> bool:
        right = isinstance(value, list) and least <= len(value) <= most and all(map(_is_number, value))
        return right and not (positive and min(value) <= 0)

    return Kind(fits, words)


def alone(*values: Any, hint: str = "") -> Kind:
    """What resdet's detectors have in these ways alone."""
    wanted = " or ".join(map(str, values))
    return Kind(
        lambda value: any(type(value) is type(each) and value == each for each in values),
        f"{wanted}: resdet's detectors have nothing else{hint}",
    )


YES_NO = Kind(lambda value: isinstance(value, bool), "true or false")
WHOLE = Kind(lambda value: type(value) is int and 0 <= value < _MOST, "a whole number from 0 on")
PIXELS = Kind(lambda value: type(value) is int and 0 < value < _MOST, "pixels, at least 1")
NUMBER = Kind(_is_number, "a number")
SIZES = numbers(1, 100, "numbers above 0, of one map")


def values_of(table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
    """What sections in sections say of each setting; the toolkit's own value where they do not.

    Text may be a Python literal, and the list of the one map may stand in another list.
    """
    return {name: _value(given, name, setting) for name, setting in table.items()}


def check_values(table: Table, values: Mapping[str, Any], source: object, free: Sequence[str] = ()) -> None:
    """A ConfigError with each value that its setting cannot have, but for those of the names ``free``."""
    problems = [
        f"{source}: {name} must be {setting.kind.words}, got {shown_briefly(values[name])}"
        for name, setting in table.items()
        if not setting.kind.fits(values[name]) and name not in free
    ]
    if problems:
        raise ConfigError(problems)


def placed(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of resdet's config that the values become."""
    sections: dict[str, Any] = {}
    for name, setting in table.items():
        value, places = values[name], setting.places
        # a list of several places is one value for each, or one for all
        each = [value] if len(places) < 2 else (value * len(places))[: len(places)]
        for place, one in zip(places, each, strict=False):
            section, _, option = place.rpartition(".")
            (sections.setdefault(section, {}) if section else sections)[option] = one
    return sections


def taken(table: Table, sections: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a whole config of resdet's becomes, of the settings that have a place; the inverse of ``placed``."""
    values = {}
    for name, setting in table.items():
        found = [_value(sections, place, Setting(None, NUMBER)) for place in setting.places]
        if found:
            values[name] = found if len(found) > 1 else found[0]
    return values


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under names with points, as sections in sections."""
    content: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        section = content
        for part in sections:
            section = section.setdefault(part, {})
        section[last] = value
    return content


def _value(given: Mapping[str, Any], name: str, setting: Setting) -> Any:
    value: Any = given
    for part in name.split("."):
        value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    if value is _ABSENT:
        return setting.default
    if isinstance(value, str) and not isinstance(setting.default, str) and len(value) <= _LONGEST:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return value
    value = list(value) if isinstance(value, tuple) else value
    if setting.kind is SIZES and isinstance(value, list) and len(value) == 1:
        value = list(value[0]) if isinstance(value[0], (list, tuple)) else value
    return value
