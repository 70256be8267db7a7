"""The rows of the paper's tables, beside what has been measured: read from ``paper.yaml``, the one place where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from statistics import fmean, stdev
from typing import Any

import yaml

_HEAD = ("row", "to reach", "ours", "seeds", "command", "hardware", "time")


@dataclass(frozen=True)
class Measurement:
    """A row measured with one seed.

    Attributes:
        seed: of the run.
        ours: the numbers, in the order of the table's columns; None where it has none.
        hardware: what it ran on.
        time: how long it took.
        where: the page under docs with its log.
    """

    seed: int
    ours: tuple[float | None, ...]
    hardware: str
    time: str
    where: str


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: what is measured.
        to_reach: the paper's numbers, in the order of the table's columns; None where it prints none.
        command: what trains and tests it; "" where nothing here does.
        not_here: why there is no command.
        note: what else is to be known of it.
        runs: what has been measured.
    """

    name: str
    to_reach: tuple[float | None, ...]
    command: str = ""
    not_here: str = ""
    note: str = ""
    runs: tuple[Measurement, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the paper: its key (``"table6"``), title, columns and rows."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def paper_tables() -> dict[str, Table]:
    """All tables by key, in the paper's order."""
    content = yaml.safe_load((files("resdet.facts") / "paper.yaml").read_text(encoding="utf-8"))
    return {key: _table(key, values) for key, values in content.items()}


def table_text(table: Table) -> str:
    """A table in Markdown: every row with the paper's numbers, ours and how they came about, or "not run"; then the notes."""
    title = f"**{table.key.replace('table', 'Table ')}**: {table.title} ({'; '.join(table.columns)})"
    lines = [_HEAD, *(_cells(row) for row in table.rows)]
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    notes = [f"- {row.name}: {row.note}" for row in table.rows if row.note]
    return "\n".join([title, "", rows[0], "|---" * len(_HEAD) + "|", *rows[1:], *([""] if notes else []), *notes])


def _cells(row: Row) -> tuple[str, ...]:
    reference = _numbers(row.to_reach)
    if row.not_here:
        return row.name, reference, row.not_here, "–", "–", "–", "–"
    command = "; ".join(f"`{part}`" if part.startswith("resdet ") else part for part in row.command.split("; "))
    if not row.runs:
        return row.name, reference, "not run", "–", command, "–", "–"
    return (
        row.name,
        reference,
        f"[{_measured(row.runs)}]({row.runs[0].where})",
        ", ".join(str(run.seed) for run in row.runs),
        command,
        "; ".join(dict.fromkeys(run.hardware for run in row.runs)),
        "; ".join(dict.fromkeys(run.time for run in row.runs)),
    )


def _measured(runs: Sequence[Measurement]) -> str:
    """The mean of each column, and the standard deviation of several seeds."""
    cells = []
    for column in zip(*(run.ours for run in runs), strict=True):
        values = [value for value in column if value is not None]
        spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
        cells.append(f"{fmean(values):.2f}{spread}" if values else "–")
    return " / ".join(cells)


def _numbers(values: Sequence[float | None]) -> str:
    return " / ".join("–" if value is None else f"{value:g}" for value in values)


def _table(key: str, values: dict[str, Any]) -> Table:
    return Table(key, values["title"], tuple(values["columns"]), tuple(_row(each) for each in values["rows"]))


def _row(values: dict[str, Any]) -> Row:
    runs = tuple(Measurement(**{**run, "ours": tuple(run["ours"])}) for run in values.get("runs", ()))
    return Row(**{**values, "to_reach": tuple(values["to_reach"]), "runs": runs})
