"""Writes the files of an analysis: a picture in two formats, a table and a one-line conclusion."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resdet.files import write_text

Cell = str | int | float | None


@dataclass(frozen=True)
class Analysis:
    """The findings of an analysis, for people.

    Attributes:
        name: the name of the analysis.
        rows: the rows of its table, at least one; all have the keys of the first, which are the header. None is an empty cell.
        conclusion: the conclusion, in one line.
        draw: writes the picture to a path that ends with .png or .svg.
    """

    name: str
    rows: Sequence[Mapping[str, Cell]]
    conclusion: str
    draw: Callable[[Path], object]


def write_analysis(folder: str | Path, analysis: Analysis) -> list[Path]:
    """Write ``NAME.png``, ``NAME.svg``, ``NAME.csv`` and ``NAME.txt``, the conclusion, into ``folder``, each atomically.

    Args:
        folder: the folder to write to, created when missing.
        analysis: the analysis to write.

    Returns:
        The four paths.
    """
    *pictures, table, text = (Path(folder) / f"{analysis.name}.{ending}" for ending in ("png", "svg", "csv", "txt"))
    for picture in pictures:
        analysis.draw(picture)
    content = io.StringIO()
    writer = csv.DictWriter(content, list(analysis.rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(analysis.rows)
    write_text(table, content.getvalue())
    write_text(text, analysis.conclusion + "\n")
    return [*pictures, table, text]
