"""``data convert``: a data set of one format as a folder of another."""

from __future__ import annotations

import argparse
from pathlib import Path

from resdet.commands.data_arguments import add_described_detection_arguments
from resdet.console import say
from resdet.data.convert import FORMATS


def add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data convert``."""
    add_described_detection_arguments(parser)
    parser.add_argument("--only", default="", metavar="FILE", help="text file of the images to convert, one name or id a line")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format to write")
    parser.add_argument(
        "--as",
        default="",
        dest="target_split",
        metavar="NAME",
        help="the split's name in DEST (default: --split; of COCO: the end of instances_NAME.json)",
    )
    parser.add_argument(
        "--images", default="link", choices=("link", "copy"), help="hard links to the image files, or copies (default: link)"
    )
    parser.add_argument("dest", metavar="DEST", help="a new or empty folder")


def run_convert(args: argparse.Namespace) -> int:
    """Convert, and print what the format cannot hold to standard error.

    Raises:
        ConfigError: on wrong arguments, or a destination that holds something.
        DataError: with every problem of the source, or names that the format cannot hold.
    """
    from resdet.data.check import summary
    from resdet.data.convert.unread import unread_fields
    from resdet.data.convert.write import convert_dataset
    from resdet.data.described import described_detection
    from resdet.data.sources.detection import build_dataset

    source = described_detection(args.format, args.root, annotations=args.annotations, split=args.split, images=args.only)
    dataset = build_dataset([source], option="data")
    split = args.target_split or args.split or Path(args.annotations).stem.removeprefix("instances_")
    lost = convert_dataset(dataset, args.to, Path(args.dest).expanduser(), split, copy_images=args.images == "copy")
    say(f"{args.dest}: {summary(dataset)}, as {args.to} {split!r}")
    for line in [*lost, *unread_fields(source, dataset)]:
        say(f"note: {line}", error=True)
    return 0
