"""Make the shapes data set, or check a data set of your own before training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resdet.errors import ConfigError, DataError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationSourceConfig, DetectionSourceConfig
    from resdet.data.dataset import ClassificationDataset, DetectionDataset

    Source = DetectionSourceConfig | ClassificationSourceConfig

_DETECTION_FORMATS = ("coco", "voc")
_CLASSIFICATION_FORMATS = ("folder", "cifar10", "cifar100")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="make|check")
    make = actions.add_parser("make", help="write a synthetic data set", description="Write a synthetic data set.")
    make.add_argument("kind", choices=["shapes"], help="shapes: textured shapes on cluttered ground, with boxes and crops")
    make.add_argument("dest", metavar="DEST", help="a new or empty folder")
    make.add_argument("--train", type=int, default=1000, metavar="N", help="training images (default: 1000)")
    make.add_argument("--val", type=int, default=200, metavar="N", help="validation images (default: 200)")
    make.add_argument("--size", type=int, default=160, metavar="S", help="longer side in pixels (default: 160)")
    make.add_argument("--seed", type=int, default=0, metavar="K", help="another seed, other images (default: 0)")
    text = "Read every annotation and decode every image of a data set; tell every problem."
    check = actions.add_parser("check", help="tell every problem of a data set", description=text)
    check.add_argument("--config", metavar="FILE", help="check the data of a run file")
    formats = [*_DETECTION_FORMATS, *_CLASSIFICATION_FORMATS]
    check.add_argument("--format", choices=formats, help="without a run file: the layout of the files")
    check.add_argument("--root", default="", metavar="DIR", help="the data set's folder; coco: the folder of images")
    check.add_argument("--annotations", default="", metavar="FILE", help="coco: the instances json")
    check.add_argument("--split", default="", metavar="NAME", help="voc: a list under ImageSets/Main; cifar: train or test")
    check.add_argument("overrides", nargs="*", metavar="key.path=value", help="options of the run file to change")


def run(args: argparse.Namespace) -> int:
    """Make or check.

    Raises:
        ConfigError: on wrong arguments, options, or a destination that holds something.
        DataError: from ``check``, with every problem of every source.
    """
    if args.action == "make":
        return _make(args)
    return _check(args)


def _make(args: argparse.Namespace) -> int:
    from resdet.data.synthetic import make_shapes

    written = make_shapes(args.dest, train=args.train, val=args.val, size=args.size, seed=args.seed)
    print(f"{args.dest}: {', '.join(f'{count} {what}' for what, count in written.items())}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from resdet.data.check import summary, undecodable

    if bool(args.config) == bool(args.format):
        raise ConfigError("data check needs either --config FILE or --format with --root")
    if args.overrides and not args.config:
        raise ConfigError(f"key=value arguments change a run file, and there is none; got {' '.join(args.overrides)}")
    names, sources = _of_config(args) if args.config else ((), [("data", _of_arguments(args))])
    wrong_options: list[str] = []
    problems: list[str] = []
    for label, source in sources:
        try:
            dataset = _read(source, names, label)
        except ConfigError as error:
            wrong_options += error.problems
            continue
        except DataError as error:
            problems += error.problems
            continue
        names = names or dataset.names
        print(f"{label}: {summary(dataset)}")
        problems += undecodable(dataset)
    if wrong_options:
        raise ConfigError([*wrong_options, *problems])
    if problems:
        raise DataError(problems)
    return 0


def _of_config(args: argparse.Namespace) -> tuple[Sequence[str], list[tuple[str, Source]]]:
    """A run file's class names, and each of its sources with the name of its option."""
    from resdet.config import load_config
    from resdet.config.schema import ClassificationDataConfig

    data = load_config(args.config, args.overrides).data
    val: list[tuple[str, Source]] = [("data.val", data.val)] if data.val.root else []
    if isinstance(data, ClassificationDataConfig):
        return (), [("data.train", data.train), *val]
    return data.names, [*((f"data.train[{index}]", source) for index, source in enumerate(data.train)), *val]


def _of_arguments(args: argparse.Namespace) -> Source:
    from resdet.config.schema import ClassificationSourceConfig, DetectionSourceConfig

    if args.format in _DETECTION_FORMATS:
        return DetectionSourceConfig(args.format, args.root, args.annotations, args.split)
    if args.split not in ("", "train", "test"):
        raise ConfigError(f"--split of {args.format} must be train or test, got {args.split!r}")
    return ClassificationSourceConfig(args.format, args.root, args.split or "train")


def _read(source: Source, names: Sequence[str], label: str) -> DetectionDataset | ClassificationDataset:
    from resdet.config.schema import DetectionSourceConfig
    from resdet.data.catalog import build_classification_dataset, build_dataset

    if isinstance(source, DetectionSourceConfig):
        return build_dataset([source], names or None, option=label)
    return build_classification_dataset(source, names or None, option=label)
