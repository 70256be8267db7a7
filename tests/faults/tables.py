"""Rows of the tables of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def put_row(page: Path, header: Sequence[str], row: Sequence[str]) -> None:
    """Put a row into the page's table with this header, in place of the one with the same first cell, or at its end."""
    lines = page.read_text(encoding="utf-8").splitlines()
    first = lines.index(f"| {' | '.join(header)} |") + 2
    last = next((place for place in range(first, len(lines)) if not lines[place].startswith("|")), len(lines))
    same = [place for place in range(first, last) if lines[place].startswith(f"| {row[0]} |")]
    lines[same[0] if same else last : same[0] + 1 if same else last] = [f"| {' | '.join(row)} |"]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
