"""Writes lists and values as people do in a sentence."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any


def first_few(names: Sequence[str], most: int) -> str:
    """The first ``most`` of the names, and how many more there are: ``"a, b and 3 more"``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def shown_briefly(value: Any) -> str:
    """A value that comes from a file as text of 80 characters at most."""
    try:
        return f"{reprlib.repr(value):.80}"
    except ValueError:  # the number has more digits than Python converts to text
        return f"a {type(value).__name__} too large to show"


def reason_of(error: BaseException, most: int | None = None) -> str:
    """The text of an error on one line, its first ``most`` letters; the name of its class where it has no text."""
    return " ".join(str(error).split())[:most] or type(error).__name__
