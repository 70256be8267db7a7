"""Rows of a CSV file by the names of their columns."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from resdet.errors import DataError
from resdet.files import regular


def read_csv(
    path: Path, columns: Sequence[str], problems: list[str], synonyms: Mapping[str, Sequence[str]] | None = None
) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file whose first line names its columns.

    Args:
        path: the file, UTF-8; empty lines are left out.
        columns: the columns wanted; others are left alone.
        problems: gets a line for each row that has more or fewer fields than the first; such a row is not returned.
        synonyms: other names that a column may have, see ``named_columns``.

    Returns:
        (line number in the file, the values of ``columns`` in their order, without space around them) of each row.

    Raises:
        DataError: the file cannot be read, is not CSV, or lacks one of the columns.
    """
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        with regular(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            named = named_columns(path, header, columns, synonyms or {})
            if missing := [name for name in columns if name not in named]:
                raise DataError(
                    f"{path}: its first line must name the columns {','.join(columns)}; {','.join(missing)} is missing"
                )
            places = [header.index(named[name]) for name in columns]
            for fields in reader:
                line = reader.line_num
                if len(fields) == len(header):
                    rows.append((line, [fields[place].strip() for place in places]))
                elif fields:
                    problems.append(f"{path}: line {line}: must have {len(header)} fields as the first line, got {len(fields)}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not CSV, after line {line}: {error}") from error
    return rows


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
