"""``data shard``: a classification set in tar files."""

from __future__ import annotations

import argparse
from pathlib import Path

from resdet.console import say
from resdet.errors import ConfigError

_MIB = 1 << 20


def add_shard_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data shard``."""
    parser.add_argument("--format", required=True, choices=("folder", "imagenet", "list"), help="the layout of the files")
    parser.add_argument("--root", required=True, metavar="DIR", help="the data set's folder")
    text = "list: the CSV or JSON file; imagenet: the solution CSV of a flat val, when it lies elsewhere"
    parser.add_argument("--annotations", default="", metavar="FILE", help=text)
    parser.add_argument("--split", default="train", choices=("train", "val"), help="of imagenet (default: train)")
    splits = ("train", "val", "test")
    text = "the set's name in DEST, data.train.split of a run file (default: --split)"
    parser.add_argument("--as", default="", dest="target_split", choices=splits, help=text)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="a tar file at most, MiB (default: 1024)")
    parser.add_argument("dest", metavar="DEST", help="a folder; a set that was begun there is continued")


def run_shard(args: argparse.Namespace) -> int:
    """Write the shards.

    Raises:
        ConfigError: on wrong arguments, or a destination that holds another set of this name.
        DataError: with every problem of the source.
    """
    from resdet.config.check import of_other_formats
    from resdet.config.schema import ClassificationSourceConfig
    from resdet.data.check import summary
    from resdet.data.convert.shard_writer import write_shards
    from resdet.data.sources.classification import build_classification_dataset

    if args.size < 1:
        raise ConfigError(f"'--size' must be at least 1 MiB, got {args.size}")
    source = ClassificationSourceConfig(args.format, args.root, args.split, args.annotations)
    if problems := list(of_other_formats(source, "data.")):
        raise ConfigError(problems)
    dataset = build_classification_dataset(source, option="data")
    split, folder = args.target_split or args.split, Path(args.dest).expanduser()
    count = write_shards(dataset, Path(args.root).expanduser(), folder, split, args.size * _MIB)
    say(f"{args.dest}: {summary(dataset)}, {count} shards; format: shards, root: {args.dest}, split: {split}")
    return 0
