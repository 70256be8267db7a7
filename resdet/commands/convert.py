"""Turn another toolkit's weights into a resdet model file.

Sources: torchvision's and timm's ResNets, MSRA's in Caffe2's naming (Detectron), Detectron2's ResNets and its Faster R-CNN C4
models. docs/weights.md says what is known of each.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resdet.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from resdet.models.backbones.weights.read import WeightsFile
    from resdet.models.backbones.weights.report import LoadReport
    from resdet.models.convert import Conversion
    from resdet.models.model_file import ModelCard

_SOURCES = ("auto", "torchvision", "timm", "caffe2", "detectron2")
_PIXELS = ("torchvision", "msra", "detectron", "detectron2", "torchvision_bgr", "unit", "symmetric", "msra_rgb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``convert``."""
    parser.add_argument("source", metavar="SRC", help="a .pth, .pkl or .safetensors file")
    parser.add_argument("destination", metavar="DST", help="the .safetensors file to write")
    parser.add_argument(
        "--from", dest="scheme", default="auto", choices=_SOURCES, help="whose names the file has (default: auto, by the names)"
    )
    parser.add_argument(
        "--names",
        metavar="FILE",
        help="class names in label order, one a line (default: ImageNet's for a classifier of 1000 classes, COCO's for a "
        "detector of 80, VOC's of 20)",
    )
    parser.add_argument(
        "--pixels", choices=_PIXELS, help="pixel convention of the weights (default: the source's, see docs/weights.md)"
    )
    parser.add_argument(
        "--stride", choices=("1x1", "3x3"), help="where a bottleneck has its stride (default: 3x3 with torchvision's pixels)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, write, and print what became of the tensors and what the file says of itself.

    Raises:
        ConfigError: names of no known source, another network, or a destination that exists.
        DataError: a file that cannot be read without executing a pickle.
    """
    from resdet.models.backbones.weights.read import read_weights
    from resdet.models.convert import CONVENTIONS, convert_weights
    from resdet.models.model_file import write_model

    source, destination = Path(args.source), Path(args.destination)
    _check_paths(source, destination)
    file = read_weights(source)
    stride = None if args.stride is None else args.stride == "1x1"
    conversion = convert_weights(
        file, scheme=args.scheme, pixels=CONVENTIONS[args.pixels] if args.pixels else None, stride_in_1x1=stride
    )
    card = _card(conversion, _class_names(args.names, conversion), source)
    state, report = _checked(file, conversion, card)
    if conversion.assumed:
        warnings.warn(_assumption(conversion, source), stacklevel=2)
    write_model(destination, state, card)
    print(report.table())
    print(_facts(conversion, card))
    print(f"written: {destination}")
    return 0


def _check_paths(source: Path, destination: Path) -> None:
    problems = [] if source.is_file() else [f"{source}: no such file"]
    if destination.suffix != ".safetensors":
        problems.append(f"{destination}: must end in .safetensors")
    if destination.exists():
        problems.append(f"{destination}: exists already")
    if problems:
        raise ConfigError(problems)


def _class_names(file: str | None, conversion: Conversion) -> list[str]:
    """The names of ``--names``, or the public ones."""
    from resdet.models.convert import default_names

    count = conversion.num_classes
    if file is None:
        names = default_names(conversion.task, count) if count else []
        if names is None:
            raise ConfigError(f"a detector of {count} classes: give --names FILE, one name a line")
        return names
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"--names: no such file: {path}")
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ConfigError(f"--names {path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"--names {path}: holds twice: {', '.join(twice[:5])}"] if twice else []
    if len(names) != count:
        problems.append(f"--names {path}: must hold the {count} classes of the weights, got {len(names)}")
    if problems:
        raise ConfigError(problems)
    return names


def _card(conversion: Conversion, names: list[str], source: Path) -> ModelCard:
    import resdet
    from resdet.config import config_to_dict
    from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig, RoIConfig, RPNConfig
    from resdet.models.model_file import ModelCard

    backbone = BackboneConfig(conversion.spec.name, stride_in_1x1=conversion.stride_in_1x1, width=conversion.width)
    config: Any
    test: dict[str, Any]
    if conversion.task == "detection":
        # Detectron2's base of C4 models, where it differs from ours: L1 losses, 1000 proposals
        config = DetectorConfig(
            backbone, rpn=RPNConfig(post_nms_top_n_test=1000, smooth_l1_beta=0.0), roi=RoIConfig(smooth_l1_beta=0.0)
        )
        test = {"short_side": 800, "max_side": 1333}
    else:
        config = ClassifierConfig(backbone)
        # the sizes that published errors are measured at
        test = {"short_side": 0, "crop": 32} if conversion.spec.stem == "cifar" else {"short_side": 256, "crop": 224}
    return ModelCard(
        task=conversion.task,
        architecture=config_to_dict(config),
        names=names,
        pixels=conversion.pixels.to_dict(),
        test=test,
        provenance={"resdet": resdet.__version__, "source": source.name, "names_of": conversion.scheme},
    )


def _checked(file: WeightsFile, conversion: Conversion, card: ModelCard) -> tuple[dict[str, Tensor], LoadReport]:
    """The state to write, tried in the network that the card describes, and what became of the file's tensors.

    Raises:
        ConfigError: tensors that are missing, unexpected or of another shape than the network's.
    """
    from resdet.models.backbones.weights.report import LoadReport, compare

    network = _network(conversion, card)
    ours = network.state_dict()
    if conversion.task == "backbone":
        ours = {key: value for key, value in ours.items() if not key.startswith("fc.")}
    loaded, missing, unexpected, mismatched = compare(conversion.state, ours)
    report = LoadReport(file.path, conversion.spec.name, conversion.pixels, loaded, missing, unexpected, mismatched)
    if missing or unexpected or mismatched:
        raise ConfigError(f"{file.path}: is no {conversion.spec.name} as resdet has it: {report.summary(3)}")
    taken = tuple(key for key in loaded if key not in conversion.filled)
    report = replace(report, loaded=taken, missing=conversion.filled, unexpected=conversion.ignored)
    return {**ours, **{key: conversion.state[key] for key in loaded}}, report


def _network(conversion: Conversion, card: ModelCard) -> nn.Module:
    from resdet.config import config_from_dict
    from resdet.config.schema import ClassifierConfig, DetectorConfig
    from resdet.models.build import build_classifier, build_detector

    if conversion.task == "detection":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BN statistics come with the state
            return build_detector(config_from_dict(DetectorConfig, card.architecture), card.names)
    classifier = build_classifier(config_from_dict(ClassifierConfig, card.architecture), card.names or [""])
    return classifier if conversion.task == "classification" else classifier.backbone


def _assumption(conversion: Conversion, source: Path) -> str:
    """The warning of a card that says what nothing in the file shows."""
    words = {
        "pixels": f"pixels {conversion.pixels.describe()} (--pixels)",
        "stride": f"stride in the {'1x1' if conversion.stride_in_1x1 else '3x3'} (--stride)",
    }
    return (
        f"{source}: neither BN statistics nor its name shows what these weights want. Assumed, and written into the card: "
        f"{', '.join(words[name] for name in conversion.assumed)}. With wrong ones a network runs and is merely bad: "
        f"`resdet info --weights {source} --images DIR` measures which are plausible"
    )


def _facts(conversion: Conversion, card: ModelCard) -> str:
    stride = f", stride in the {'1x1' if conversion.stride_in_1x1 else '3x3'}" if conversion.spec.block == "bottleneck" else ""
    names = card.names
    rows = {
        "names of": conversion.scheme,
        "task": conversion.task,
        "backbone": f"{conversion.spec.name}{stride}" + (f", width {conversion.width}" if conversion.width else ""),
        "pixels": conversion.pixels.describe(),
        "test": ", ".join(f"{key} {value}" for key, value in card.test.items()),
        "classes": f"{len(names)}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}",
    }
    if conversion.filled:
        rows["BN"] = "scale and shift alone in the file: the missing statistics are mean 0, variance 1 - 1e-5"
    if conversion.task == "backbone":
        rows["test"] = rows["classes"] = "none: name the file as model.backbone.weights"
    return "\n".join(f"{key:<12}{value}" for key, value in rows.items())
