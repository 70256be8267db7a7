"""The data sets that the ``data`` commands read: those of a run file, or one that arguments describe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import (
        ClassificationDataConfig,
        ClassificationSourceConfig,
        DetectionSourceConfig,
        LocalizationSourceConfig,
    )

    Source = DetectionSourceConfig | ClassificationSourceConfig | LocalizationSourceConfig

_DETECTION_FORMATS = ("coco", "voc", "yolo", "imagenet_det")
_ANNOTATIONS = "coco: the instances json; yolo: the yaml with the class names, when not ROOT/data.yaml; "
_SPLIT = "voc, imagenet_det: a list under ImageSets; yolo: train, val or test; "
_CLASSIFICATION_FORMATS = ("folder", "imagenet", "list", "shards", "cifar10", "cifar100")


def add_source_arguments(parser: argparse.ArgumentParser, *, detection: bool) -> None:
    """``--config`` with ``key.path=value``, or ``--format`` with ``--root``, ``--annotations`` and ``--split``."""
    formats = [*(_DETECTION_FORMATS if detection else ()), *_CLASSIFICATION_FORMATS]
    which = "the data" if detection else "the training data"
    parser.add_argument("--config", metavar="FILE", help=f"{which} of a run file")
    parser.add_argument("--format", choices=formats, help="without a run file: the layout of the files")
    parser.add_argument("--root", default="", metavar="DIR", help="the data set's folder")
    parser.add_argument(
        "--annotations",
        default="",
        metavar="FILE",
        help=f"{_ANNOTATIONS if detection else ''}"
        "list: the CSV or JSON file; imagenet: the solution CSV of a flat val, when it lies elsewhere",
    )
    parser.add_argument(
        "--split",
        default="",
        metavar="NAME",
        help=f"{_SPLIT if detection else ''}imagenet: train or val; cifar: train, test, train45k or val5k (default: train)",
    )
    if detection:
        text = "text file of image names or ids of a detection set, one a line: only these images"
        parser.add_argument("--images", default="", metavar="FILE", help=text)
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options of the run file to change")


def add_described_detection_arguments(parser: argparse.ArgumentParser) -> None:
    """``--format``, ``--root``, ``--annotations`` and ``--split`` of a detection set, without a run file."""
    parser.add_argument("--format", required=True, choices=_DETECTION_FORMATS, help="the layout of the files")
    parser.add_argument("--root", required=True, metavar="DIR", help="the data set's folder; coco: that of the images")
    parser.add_argument("--annotations", default="", metavar="FILE", help=_ANNOTATIONS.removesuffix("; "))
    parser.add_argument("--split", default="", metavar="NAME", help=_SPLIT.removesuffix("; "))


def named_sources(args: argparse.Namespace) -> tuple[Sequence[str], list[tuple[str, Source]]]:
    """Class names, none where the files say them, and each source with the name of its option.

    Raises:
        ConfigError: on wrong arguments or a wrong run file.
    """
    from resdet.config import load_config
    from resdet.config.schema import ClassificationDataConfig, LocalizationDataConfig

    _check_usage(args)
    if not args.config:
        return (), [("data", _described(args))]
    data = load_config(args.config, args.overrides).data
    val: list[tuple[str, Source]] = [("data.val", data.val)] if data.val.root else []
    if isinstance(data, (ClassificationDataConfig, LocalizationDataConfig)):
        return (), [("data.train", data.train), *val]
    return data.names, [*((f"data.train[{index}]", source) for index, source in enumerate(data.train)), *val]


def classification_data(args: argparse.Namespace) -> ClassificationDataConfig:
    """The data section of a classification run file, or one whose ``train`` is what the arguments describe.

    Raises:
        ConfigError: on wrong arguments, a wrong run file, or one of another task.
    """
    from resdet.config import load_config
    from resdet.config.schema import ClassificationDataConfig

    _check_usage(args)
    if args.config:
        config = load_config(args.config, args.overrides)
        if not isinstance(config.data, ClassificationDataConfig):
            raise ConfigError(f"{args.config}: 'task' must be classification, got {config.task}")
        return config.data
    source = _labelled(args)
    if source.format in ("cifar10", "cifar100"):
        return ClassificationDataConfig(train=source, crop=32, short_side=[], test_short_side=0)
    return ClassificationDataConfig(train=source)


def _check_usage(args: argparse.Namespace) -> None:
    if bool(args.config) == bool(args.format):
        raise ConfigError(f"data {args.action} needs either --config FILE or --format with --root")
    if args.overrides and not args.config:
        raise ConfigError(f"key=value arguments change a run file, and there is none; got {' '.join(args.overrides)}")


def _described(args: argparse.Namespace) -> Source:
    from resdet.config.schema import DetectionSourceConfig

    if args.format not in _DETECTION_FORMATS:
        return _labelled(args)
    source = DetectionSourceConfig(args.format, args.root, args.annotations, args.split, args.images)
    check_format(source, args)
    return source


def _labelled(args: argparse.Namespace) -> ClassificationSourceConfig:
    from resdet.config.schema import ClassificationSourceConfig

    source = ClassificationSourceConfig(args.format, args.root, args.split or "train", args.annotations)
    check_format(source, args)
    return source


def check_format(source: Source, args: argparse.Namespace) -> None:
    """A ConfigError with every argument that describes ``source``, and is for other formats than its own."""
    from resdet.config.check import of_other_formats
    from resdet.config.schema import DetectionSourceConfig

    given = [name for name in ("annotations", "split") if getattr(args, name)]
    problems = list(of_other_formats(source, "data.", given))
    if not isinstance(source, DetectionSourceConfig) and args.action == "check" and args.images:
        problems.append(f"--images is for detection sets, got --format {args.format}")
    if problems:
        raise ConfigError(problems)
