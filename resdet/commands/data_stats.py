"""``data stats``: sizes of images, classes and sizes of objects, and how well anchors fit them."""

from __future__ import annotations

import argparse

from resdet.commands.data_arguments import add_source_arguments
from resdet.commands.data_sources import named_data
from resdet.console import show


def add_stats_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data stats``."""
    add_source_arguments(parser, detection=True)


def run_stats(args: argparse.Namespace) -> int:
    """Read every annotation, and print the tables of each detection set. No image is decoded.

    Raises:
        ConfigError: on wrong arguments or options, or a set without boxes.
        DataError: with every problem of the annotations.
    """
    from resdet.data.check import summary
    from resdet.report.datasets import dataset_tables, dataset_text, dataset_values

    data = named_data(args)
    for option, dataset in data.detection_sets():
        tables = dataset_tables(dataset, data.scale)
        head = f"{option}: {summary(dataset)}, at shorter side {data.scale.short_side}"
        show(f"{head}\n\n{dataset_text(tables)}\n", {option: dataset_values(tables)})
    return 0
