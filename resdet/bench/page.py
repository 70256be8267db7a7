"""``bench.json``, which keeps runs, and the page that shows their table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from resdet.bench.runs import Run, joined
from resdet.bench.table import table
from resdet.errors import ConfigError, DataError

BEGIN, END = "<!-- resdet bench: begin -->", "<!-- resdet bench: end -->"


def read_runs(path: Path) -> list[Run]:
    """The runs of a ``bench.json``.

    Raises:
        DataError: a file that is missing, or that ``resdet bench`` did not write.
    """
    from resdet.files import read_json  # not above: help would start later

    content = read_json(path)
    try:
        runs = joined([], content["runs"])
        table(runs)  # which reads all that there must be
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is not what resdet bench wrote: {error!r}") from error
    return runs


def read_all_runs(paths: Iterable[Path]) -> list[Run]:
    """The runs of several files, joined: of two results of one claim that of the later file. Raises as ``read_runs`` does."""
    runs: list[Run] = []
    for path in paths:
        runs = joined(runs, read_runs(path))
    return runs


def write_page(page: Path, runs: Sequence[Run]) -> None:
    """Put the table into ``page``, between its two marks, without what ``--quick`` found.

    Raises:
        ConfigError: a page without the marks; nothing that was measured.
    """
    from resdet.files import write_text

    measured = [run for run in runs if not run["quick"]]
    if not measured:
        raise ConfigError(f"{page}: nothing to show: there are runs of --quick alone, which measures nothing")
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ConfigError(f"{page}: needs a line {BEGIN} and after it a line {END}")
    write_text(page, f"{before}{BEGIN}\n{table(measured)}\n{END}{after}")
