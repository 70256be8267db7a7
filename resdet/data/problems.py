"""Collects the problems of a file, reports them all at once, names equal faults once, and keeps the list short."""

from __future__ import annotations

import reprlib
from typing import Any

from resdet.errors import DataError

SHOWN = 20


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


def shown(value: Any) -> str:
    """``value`` as text that fits into a message."""
    return reprlib.repr(value)
