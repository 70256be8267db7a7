"""What an analysis leaves in its folder: a picture, a table, a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from resdet.files import write_text

Cell = str | int | float | None


def write_analysis(
    folder: str | Path, name: str, rows: Sequence[Mapping[str, Cell]], conclusion: str, draw: Callable[[Path], object]
) -> list[Path]:
    """Write ``NAME.png``, ``NAME.csv`` and ``NAME.txt``, the conclusion, into ``folder``, each atomically.

    Args:
        folder: made when missing.
        name: of the analysis.
        rows: at least one; all have the keys of the first, which are the header. None becomes an empty cell.
        conclusion: one line.
        draw: writes the picture to a path.

    Returns:
        The three paths.
    """
    picture, table, text = (Path(folder) / file for file in (f"{name}.png", f"{name}.csv", f"{name}.txt"))
    draw(picture)
    content = io.StringIO()
    writer = csv.DictWriter(content, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(table, content.getvalue())
    write_text(text, conclusion + "\n")
    return [picture, table, text]
