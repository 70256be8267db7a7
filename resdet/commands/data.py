"""Make, download, convert, split, check, view and mend data sets, or measure their pixels."""

from __future__ import annotations

import argparse

from resdet.commands.data_check import add_check_arguments, run_check
from resdet.commands.data_convert import add_convert_arguments, run_convert
from resdet.commands.data_download import add_download_arguments, run_download
from resdet.commands.data_fix import add_fix_arguments, run_fix
from resdet.commands.data_make import add_make_arguments, run_make
from resdet.commands.data_shard import add_shard_arguments, run_shard
from resdet.commands.data_split import add_split_arguments, run_split
from resdet.commands.data_statistics import add_statistics_arguments, run_mean, run_pca
from resdet.commands.data_stats import add_stats_arguments, run_stats
from resdet.commands.data_view import add_view_arguments, run_view


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data``."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="make|download|convert|shard|split|check|stats|view|fix|pca|mean"
    )
    text = "Write a synthetic data set."
    add_make_arguments(actions.add_parser("make", help="write a synthetic data set", description=text))
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
    text = "Print the sizes of images, the classes and sizes of objects, and how well anchors fit them."
    add_stats_arguments(actions.add_parser("stats", help="sizes, classes and anchors of a detection set", description=text))
    text = "Draw photos with their boxes, as they are annotated and as training sees them."
    add_view_arguments(actions.add_parser("view", help="draw a detection set", description=text))
    text = "Write a copy of a detection set without what is wrong in it, and a table of the changes; never in place."
    add_fix_arguments(actions.add_parser("fix", help="write a cleaned copy of a detection set", description=text))
    text = "Compute the principal components of the colours of a training set, for the colour noise of classifiers."
    pca = actions.add_parser("pca", help="principal components of a training set's colours", description=text)
    add_statistics_arguments(pca, "the JSON file to write, for data.pca")
    text = "Compute the mean image of a training set and its channels' mean and std, after the test transform."
    mean = actions.add_parser("mean", help="mean image of a training set", description=text)
    add_statistics_arguments(mean, "the safetensors file to write, for data.mean_image")


def run(args: argparse.Namespace) -> int:
    """Run one of the actions.

    Raises:
        ConfigError: on wrong arguments, options, or a destination that holds something.
        DataError: with every problem of every source.
    """
    actions = {
        "make": run_make,
        "download": run_download,
        "convert": run_convert,
        "shard": run_shard,
        "split": run_split,
        "check": run_check,
        "stats": run_stats,
        "view": run_view,
        "fix": run_fix,
        "pca": run_pca,
        "mean": run_mean,
    }
    return actions[args.action](args)
