"""Make, download, convert, pack and check data sets, or measure their pixels."""

from __future__ import annotations

import argparse

from resdet.commands.data_check import add_check_arguments, run_check
from resdet.commands.data_convert import add_convert_arguments, run_convert
from resdet.commands.data_download import add_download_arguments, run_download
from resdet.commands.data_shard import add_shard_arguments, run_shard
from resdet.commands.data_split import add_split_arguments, run_split
from resdet.commands.data_statistics import add_statistics_arguments, run_mean, run_pca


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="make|download|convert|shard|split|check|pca|mean")
    make = actions.add_parser("make", help="write a synthetic data set", description="Write a synthetic data set.")
    make.add_argument("kind", choices=["shapes"], help="shapes: textured shapes on cluttered ground, with boxes and crops")
    make.add_argument("dest", metavar="DEST", help="a new or empty folder")
    make.add_argument("--train", type=int, default=1000, metavar="N", help="training images (default: 1000)")
    make.add_argument("--val", type=int, default=200, metavar="N", help="validation images (default: 200)")
    make.add_argument("--size", type=int, default=160, metavar="S", help="longer side in pixels (default: 160)")
    make.add_argument("--seed", type=int, default=0, metavar="K", help="another seed, other images (default: 0)")
    text = "Download, verify and unpack a published data set; continues after an interruption."
    add_download_arguments(actions.add_parser("download", help="fetch a published data set", description=text))
    text = "Write a detection set in another format; its images are linked or copied as they are."
    add_convert_arguments(actions.add_parser("convert", help="write a data set in another format", description=text))
    text = "Write a classification set as tar files, which webdataset reads too; continues after an interruption."
    add_shard_arguments(actions.add_parser("shard", help="write a classification set as tar files", description=text))
    text = "List which images to train on and which to validate on: by class, near-duplicates and frames of a video together."
    add_split_arguments(actions.add_parser("split", help="split a detection set", description=text))
    text = "Read every annotation and decode every image of a data set; tell every problem."
    check = actions.add_parser("check", help="tell every problem of a data set", description=text)
    add_check_arguments(check)
    text = "Compute the principal components of the colours of a training set, for the colour noise of classifiers."
    pca = actions.add_parser("pca", help="principal components of a training set's colours", description=text)
    add_statistics_arguments(pca, "the JSON file to write, for data.pca")
    text = "Compute the mean image of a training set and its channels' mean and std, after the test transform."
    mean = actions.add_parser("mean", help="mean image of a training set", description=text)
    add_statistics_arguments(mean, "the safetensors file to write, for data.mean_image")


def run(args: argparse.Namespace) -> int:
    """Make, download, convert, check or measure.

    Raises:
        ConfigError: on wrong arguments, options, or a destination that holds something.
        DataError: with every problem of every source.
    """
    actions = {
        "make": _make,
        "download": run_download,
        "convert": run_convert,
        "shard": run_shard,
        "split": run_split,
        "check": run_check,
        "pca": run_pca,
        "mean": run_mean,
    }
    return actions[args.action](args)


def _make(args: argparse.Namespace) -> int:
    from resdet.data.synthetic.scenes import make_shapes

    written = make_shapes(args.dest, train=args.train, val=args.val, size=args.size, seed=args.seed)
    print(f"{args.dest}: {', '.join(f'{count} {what}' for what, count in written.items())}")
    return 0
