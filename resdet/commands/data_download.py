"""``data download``: published data sets, into the folders that the run files expect."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resdet.console import say

_NAMES = ("voc2007", "voc2012", "coco2017")


def add_download_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data download``."""
    parser.add_argument("name", choices=_NAMES, help="which data set")
    parser.add_argument(
        "dest", nargs="?", default="", metavar="DEST", help="the folder to fill (default: datasets/voc or datasets/coco)"
    )


def run_download(args: argparse.Namespace) -> int:
    """Download, verify and unpack; a second call continues or finds everything there.

    Raises:
        ResdetError: when a server refuses or a transfer breaks off.
        DataError: when a file differs from the published one.
    """
    from resdet.data.download.fetch import PUBLISHED, download

    dataset = PUBLISHED[args.name]
    folder = Path(args.dest or dataset.folder).expanduser()
    progress = TransferProgress()
    download(dataset, folder, progress.show)
    say(f"{folder}: {args.name} is complete")
    return 0


class TransferProgress:
    """Prints a line to standard error for each step and each tenth of a transfer; on a terminal, each hundredth in place."""

    def __init__(self) -> None:
        self._shown: tuple[str, str, int] | None = None

    def show(self, step: str, name: str, done: int, total: int | None) -> None:
        """Print what is being done with a file, and how many of its bytes are there."""
        live = sys.stderr.isatty()
        share = 100 * done // total if total else done >> 27
        key = (step, name, share if live else share // 10)
        if key == self._shown:
            return
        self._shown = key
        amount = f" {done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f" {done / 1e6:.1f} MB" if done else ""
        last = not live or step != "fetching" or done == total
        say(f"{name}: {step}{amount}", error=True, end="\n" if last else "\r")
