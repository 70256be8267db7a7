"""Finds the data sets that the ``data`` commands read: those of a run file, or one that arguments describe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resdet.commands.data_arguments import DETECTION_FORMATS
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationDataConfig
    from resdet.data.described import Source


def named_sources(args: argparse.Namespace) -> tuple[Sequence[str], dict[str, Source]]:
    """The class names (none when the files hold them), and the sources by the names of their options.

    Raises:
        ConfigError: on wrong arguments or a wrong run file.
    """
    from resdet.config import load_config
    from resdet.data.checked import sources_of
    from resdet.data.described import described_classification, described_detection

    _check_usage(args)
    if args.config:
        return sources_of(load_config(args.config, args.overrides).data)
    describe = described_detection if args.format in DETECTION_FORMATS else described_classification
    words = {"annotations": args.annotations, "split": args.split, "images": args.images}
    return (), {"data": describe(args.format, args.root, **words)}


def classification_data(args: argparse.Namespace) -> ClassificationDataConfig:
    """The data section of a classification run file, or one whose ``train`` is the data set that the arguments describe.

    Raises:
        ConfigError: on wrong arguments, a wrong run file, or one of another task.
    """
    from resdet.config import load_config
    from resdet.config.schema import ClassificationDataConfig
    from resdet.data.described import described_classification, training_data

    _check_usage(args)
    if not args.config:
        source = described_classification(args.format, args.root, annotations=args.annotations, split=args.split)
        return training_data(source)
    config = load_config(args.config, args.overrides)
    if not isinstance(config.data, ClassificationDataConfig):
        raise ConfigError(f"{args.config}: 'task' must be classification, got {config.task}")
    return config.data


def _check_usage(args: argparse.Namespace) -> None:
    if bool(args.config) == bool(args.format):
        raise ConfigError(f"data {args.action} needs either --config FILE or --format with --root")
    if args.overrides and not args.config:
        raise ConfigError(f"key=value arguments change a run file, and there is none; got {' '.join(args.overrides)}")
