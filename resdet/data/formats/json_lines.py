"""Reads files with a JSON value on each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resdet.errors import DataError
from resdet.files import parse_json, read_text


def json_lines(path: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """The place of each line of a file, for messages, and its value; empty lines are left out.

    Args:
        path: the file, UTF-8 or UTF-16.
        problems: gets a line for each that is not JSON; it is left out.

    Raises:
        DataError: the file cannot be read, or is not text.
    """
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text: {error}") from error
    for number, line in enumerate(lines, 1):
        where = f"{path}: line {number}"
        if not line.strip():
            continue
        try:
            yield where, parse_json(line)
        except ValueError as error:
            problems.append(f"{where}: is not JSON: {error}")
