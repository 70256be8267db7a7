"""``data pca`` and ``data mean``: statistics of the pixels of a training set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.data_arguments import add_source_arguments
from resdet.commands.data_sources import classification_data
from resdet.console import say, show
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationDataConfig
    from resdet.data.dataset import ClassificationDataset

_HEADER = f"{'':12}{'R':>9}{'G':>9}{'B':>9}"


def add_statistics_arguments(parser: argparse.ArgumentParser, output: str) -> None:
    """Arguments for a classification data set, ``--images``, and ``--output``, whose help text is ``output``."""
    add_source_arguments(parser, detection=False)
    parser.add_argument("--images", type=int, default=0, metavar="N", help="so many, evenly spread; 0: all (default: 0)")
    parser.add_argument("--output", required=True, metavar="FILE", help=output)


def run_pca(args: argparse.Namespace) -> int:
    """Principal components of the colours, for ``data.pca``.

    Raises:
        ConfigError: on wrong arguments or options.
        DataError: with every problem of the data set and of its images.
    """
    from resdet.data.statistics import color_statistics, components_content, write_components

    data, dataset = _training_set(args)
    statistics = color_statistics(dataset, args.images)
    components = statistics.components
    write_components(args.output, statistics)
    head = f"{data.train.root}: {statistics.images} images, colours in [0, 1]"
    lines = [head, _HEADER, _row("mean", statistics.mean), _row("std", statistics.std)]
    for number, value in enumerate(components.eigenvalues):
        column = [row[number] for row in components.eigenvectors]
        lines.append(f"{_row(f'component {number + 1}', column)}   eigenvalue {value:.4f}")
    show("\n".join(lines), components_content(statistics))
    say(f"written: {args.output}; data.pca={args.output} makes it the colour noise of a run", error=True)
    return 0


def run_mean(args: argparse.Namespace) -> int:
    """Mean image, for ``data.mean_image``, and mean and std of the channels.

    Raises:
        ConfigError: on wrong arguments or options.
        DataError: with every problem of the data set and of its images.
    """
    from resdet.data.sources.classification import build_test_transform
    from resdet.data.statistics import pixel_statistics, write_mean_image

    data, dataset = _training_set(args)
    statistics = pixel_statistics(dataset, build_test_transform(data), args.images)
    write_mean_image(args.output, statistics, data.train.root)
    lines = [f"{data.train.root}: {statistics.images} images, {data.crop} x {data.crop} pixels", _HEADER]
    for scale, digits in ((255, 2), (1, 4)):
        for name, values in (("mean", statistics.mean), ("std", statistics.std)):
            lines.append(_row(name, [value * scale / 255 for value in values], digits) + f"   in [0, {scale}]")
    show("\n".join(lines), {"images": statistics.images, "mean": statistics.mean, "std": statistics.std})
    say(f"written: {args.output}; data.mean_image={args.output} makes a run subtract it", error=True)
    return 0


def _training_set(args: argparse.Namespace) -> tuple[ClassificationDataConfig, ClassificationDataset]:
    from resdet.data.sources.classification import build_classification_dataset

    if args.images < 0:
        raise ConfigError(f"--images must be at least 0, got {args.images}")
    if Path(args.output).is_dir():
        raise ConfigError(f"--output must name a file, got the folder {args.output}")
    data = classification_data(args)
    return data, build_classification_dataset(data.train, option="data.train" if args.config else "data")


def _row(name: str, values: Sequence[float], digits: int = 4) -> str:
    return f"{name:12}" + "".join(f"{value:9.{digits}f}" for value in values)
