"""Rows of a CSV file by the names of their columns."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from resdet.data.formats.file_names import is_image_name
from resdet.errors import DataError
from resdet.files import read_text


def read_csv(
    path: Path,
    columns: Sequence[str],
    problems: list[str],
    synonyms: Mapping[str, Sequence[str]] | None = None,
    optional: Sequence[str] = (),
    header: Sequence[str] = (),
) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file whose first line names its columns; semicolons or tabs may stand for its commas.

    Args:
        path: the file, UTF-8 or UTF-16; empty lines are left out.
        columns: the columns wanted; others are left alone.
        problems: gets a line for each row that has more or fewer fields than the first; such a row is not returned.
        synonyms: other names that a column may have, see ``named_columns``.
        optional: the columns that may be missing: their values are "".
        header: the names of the columns of a file whose first line does not say them.

    Returns:
        (line number in the file, the values of ``columns`` in their order, without space around them) of each row.

    Raises:
        DataError: the file cannot be read, is not CSV, or lacks one of the columns.
    """
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        text = read_text(path)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter_of(text))
        header = header or [name.strip() for name in next(reader, [])]
        named = named_columns(path, header, columns, synonyms or {})
        needed = [name for name in columns if name not in optional]
        if missing := [name for name in needed if name not in named]:
            raise DataError(f"{path}: its first line must name the columns {','.join(needed)}; {','.join(missing)} is missing")
        places = [header.index(named[name]) if name in named else None for name in columns]
        for fields in reader:
            line = reader.line_num
            if len(fields) == len(header):
                rows.append((line, ["" if place is None else fields[place].strip() for place in places]))
            elif fields:
                problems.append(f"{path}: line {line}: must have {len(header)} fields as the first line, got {len(fields)}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not CSV, after line {line}: {error}") from error
    return rows


def delimiter_of(text: str) -> str:
    """What separates the columns of a table, by its first line: a comma, or a semicolon or tab where there are more of them."""
    return max(",;\t", key=_first_line(text).count)


def columns_of(text: str) -> list[str]:
    """The names of the columns in the first line of a table's text."""
    return [name.strip(" \"'") for name in _first_line(text).split(delimiter_of(text))]


def _first_line(text: str) -> str:
    """The first line, ended by LF, CR LF, or, as Excel's tables for the Macintosh, CR."""
    return re.split("[\r\n]", text, maxsplit=1)[0]


def is_box_row(fields: Sequence[str]) -> bool:
    """Whether these are an image's name, four numbers and a class, or a name and nothing: a row and no header."""
    return len(fields) == 6 and is_image_name(PurePath(fields[0]).name) and (not any(fields[1:]) or _are_numbers(fields[1:5]))


def _are_numbers(fields: Sequence[str]) -> bool:
    try:
        return all(math.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


def named_columns(
    path: Path, header: Sequence[str], columns: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The name in ``header`` of each of ``columns`` that is there; a warning says which go by another name.

    A column with synonyms is looked for by its own name, then by these in their order, small and large letters alike.
    """
    lower = {name.lower(): name for name in reversed(header)}
    named = {}
    for column in columns:
        others = (column, *synonyms[column]) if column in synonyms else ()
        found = [column] if column in header else [lower[name] for name in others if name in lower]
        if found:
            named[column] = found[0]
    if renamed := [f"{name!r} as {column}" for column, name in named.items() if name != column]:
        warnings.warn(f"{path}: reads the column {', the column '.join(renamed)}", stacklevel=4)
    return named
