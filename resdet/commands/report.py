"""Write the page of a run, which shows its results in a browser, or compare two runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from resdet.console import say, show
from resdet.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``report``."""
    parser.add_argument(
        "run",
        nargs="+",
        metavar="RUN",
        help="a run folder, finished or not, or the folder of an evaluation: writes report.html there; or compare A B, "
        "two such folders of the same validation set: writes compare.html into B",
    )


def run(args: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        ConfigError: when a folder holds no run, or the runs cannot be compared.
        DataError: when a file of a run is damaged.
    """
    first, *others = args.run
    if first == "compare" and others:
        return _compare(others)
    if others:
        raise ConfigError(f"report takes one run folder, or compare A B; got {' '.join(args.run)}")
    from resdet.report.html.run import config_of, write_report

    files = write_report(first, config_of(first))
    show("", {"files": list(map(str, files))})
    say(f"written: {', '.join(map(str, files))}", error=True)
    return 0


def _compare(folders: list[str]) -> int:
    if len(folders) != 2:
        raise ConfigError(f"report compare takes two run folders, got {len(folders)}: {' '.join(folders)}")
    from resdet.report.html.compare import comparison_text, comparison_values, write_comparison

    compared, path = write_comparison(Path(folders[0]), Path(folders[1]))
    show(comparison_text(compared), comparison_values(compared))
    say(f"written: {path}", error=True)
    return 0
