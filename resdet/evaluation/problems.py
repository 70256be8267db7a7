"""Collecting what is wrong with a file: everything at once, the same fault said once, the list kept short."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from numbers import Real
from typing import Any

from resdet.errors import DataError

SHOWN = 20
BOX_RULE = "'bbox' must be [x, y, width, height], finite numbers with width and height >= 0, got"
LIMIT = 1e15  # coordinates beyond it cannot be told apart by a unit in float64


class Problems:
    """Faults found so far: ``add`` them, then ``raise_if_any``."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, int]] = {}

    def add(self, where: str, rule: str) -> None:
        """Note that ``where`` breaks ``rule``; equal rules are counted together under the first place."""
        first, count = self._found.get(rule, (where, 0))
        self._found[rule] = (first, count + 1)

    def raise_if_any(self) -> None:
        """Raise a DataError with the first faults, one a line, and the number of the others, when there are any."""
        lines = [
            f"{where}: {rule}" + (f" (and {count - 1} more like it)" if count > 1 else "")
            for rule, (where, count) in self._found.items()
        ]
        if len(lines) > SHOWN:
            lines = [*lines[:SHOWN], f"... and {len(lines) - SHOWN} problems more"]
        if lines:
            raise DataError(lines)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number of a size that a coordinate can have (no bool, no NaN, no string)."""
    return isinstance(value, Real) and not isinstance(value, bool) and -LIMIT < float_or_inf(value) < LIMIT


def float_or_inf(value: Real) -> float:
    """``float(value)``, infinity for an integer beyond a float's range."""
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def is_box(value: Any) -> bool:
    """Whether ``value`` is ``[x, y, width, height]``: four numbers, width and height at least 0."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 4
        and all(is_number(number) for number in value)
        and value[2] >= 0
        and value[3] >= 0
    )


def knows(known: Mapping[Any, int], key: Any) -> bool:
    """Whether ``key`` is an id, number or string, and one of ``known``."""
    return isinstance(key, (Real, str)) and not isinstance(key, bool) and key in known


def shown(value: Any) -> str:
    """``value`` as it fits into a message."""
    return reprlib.repr(value)
