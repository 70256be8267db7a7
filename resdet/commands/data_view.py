"""``data view``: a sheet of photos with their boxes, as they are and as training sees them."""

from __future__ import annotations

import argparse

from resdet.commands.data_arguments import add_source_arguments
from resdet.commands.data_sources import named_data
from resdet.console import say
from resdet.errors import ConfigError


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data view``."""
    add_source_arguments(parser, detection=True)
    parser.add_argument("--count", type=int, default=12, metavar="N", help="photos, evenly spread over the set (default: 12)")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="another seed, other views (default: 0)")
    parser.add_argument("--output", default="view.png", metavar="FILE", help="the PNG to write (default: view.png)")


def run_view(args: argparse.Namespace) -> int:
    """Draw the first training set.

    Raises:
        ConfigError: on wrong arguments or options, or a set without boxes.
        DataError: with every problem of the annotations, or naming a photo that cannot be read.
    """
    if args.count < 1:
        raise ConfigError(f"--count must be at least 1, got {args.count}")
    if not args.output.lower().endswith(".png"):
        raise ConfigError(f"--output must be the name of a PNG, got {args.output!r}")
    from pathlib import Path

    from resdet.prediction.written import save_picture
    from resdet.report.dataset_sheet import dataset_sheet

    data = named_data(args)
    _, dataset = next(iter(data.detection_sets()))
    sheet, shown = dataset_sheet(dataset, data.transform, count=args.count, seed=args.seed)
    save_picture(sheet, Path(args.output).expanduser())
    for index in shown:
        say(str(dataset.path(index)))
    say(f"written: {args.output}", error=True)
    return 0
