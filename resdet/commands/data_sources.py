"""Finds the data sets that the ``data`` commands read: those of a run file, of a path, or one that arguments describe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resdet.commands.arguments import is_override
from resdet.commands.data_arguments import DETECTION_FORMATS
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationDataConfig
    from resdet.data.named import NamedData


def named_data(args: argparse.Namespace) -> NamedData:
    """The data of a run file, of a path in which it is found, or that ``--format`` and its like describe.

    Raises:
        ConfigError: on wrong arguments or a wrong run file.
        DataError: when nothing is found at the path.
    """
    from resdet.config import load_config
    from resdet.data.described import described_classification, described_detection
    from resdet.data.named import alone, of_path, of_run_file

    paths = [text for text in args.overrides if not is_override(text)]
    _check_usage(args, paths)
    if args.config:
        return of_run_file(load_config(args.config, args.overrides))
    if paths:
        return of_path(paths[0])
    describe = described_detection if args.format in DETECTION_FORMATS else described_classification
    words = {"annotations": args.annotations, "split": args.split, "images": args.images}
    return alone({"data": describe(args.format, args.root, **words)})


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


def _check_usage(args: argparse.Namespace, paths: Sequence[str] = ()) -> None:
    given = [bool(args.config), bool(args.format), *map(bool, paths)]
    if sum(given) != 1:
        path = ", or the path of your data" if args.action not in ("pca", "mean") else ""
        raise ConfigError(f"data {args.action} needs either --config FILE or --format with --root{path}")
    changes = [text for text in args.overrides if text not in paths]
    if changes and not args.config:
        raise ConfigError(f"key=value arguments change a run file, and there is none; got {' '.join(changes)}")
    # not the number of images that `data pca` measures
    texts = {name: getattr(args, name, "") for name in ("root", "annotations", "split", "images")}
    if (words := [f"--{name}" for name, text in texts.items() if text and isinstance(text, str)]) and not args.format:
        raise ConfigError(f"{', '.join(words)}: with --format alone; {args.config or paths[0]} says it by itself")
