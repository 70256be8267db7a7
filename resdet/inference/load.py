"""``resdet.load``: any model file, or several detectors, ready to run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError, safe_open

from resdet.config import config_from_dict, config_to_dict
from resdet.config.old_names import with_new_names
from resdet.config.schema import ClassifierConfig, DetectionTestConfig, DetectorConfig, LocalizerConfig, LocalizerTestConfig
from resdet.errors import ConfigError, DataError
from resdet.evaluation.predictions import class_difference
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector, Improvements
from resdet.inference.device import select_device
from resdet.inference.load_localizer import load_localizers
from resdet.inference.localizer import Localizer
from resdet.models.backbones.weights.read import read_weights
from resdet.models.build import build_classifier, load_model
from resdet.models.card_network import card_config
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import ModelCard, read_card
from resdet.ops.precision import number_format

TestConfigT = TypeVar("TestConfigT", DetectionTestConfig, LocalizerTestConfig)


def load(
    path: str | Path | Sequence[str | Path],
    *,
    device: str = "auto",
    precision: str = "fp32",
    compiled: bool = False,
    test: Mapping[str, Any] | None = None,
) -> Detector | ImageClassifier | Localizer:
    """Read a model file and make it ready to run.

    Args:
        path: a ``model.safetensors`` that training wrote; or several of detectors or localizers of the same classes: an
            ensemble, for which pictures are resized as the first file says.
        device: auto, cpu, cuda or mps.
        precision: of detectors alone: "fp32", or "bf16" or "fp16" for the convolutions of a device that has it.
        compiled: of detectors alone: let torch.compile fuse the layers, which takes minutes; for a GPU.
        test: not for classifiers: options of ``model.test`` in place of those of the (first) file: ``{"refine": True}``.

    Raises:
        ConfigError: no such file, one that does not fit, an unknown option or a value out of range, other classes.
        DataError: a file that cannot be read.
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    if not paths:
        raise ConfigError("load needs at least one model file, got none")
    where = select_device(device)
    cards = [read_card(each) for each in paths]
    configs = [card_config(each, card) for each, card in zip(paths, cards, strict=True)]
    if not isinstance(configs[0], DetectorConfig) and (precision != "fp32" or compiled):
        raise ConfigError(f"{paths[0]}: holds no detector: other number formats and compiling are a detector's")
    if len(paths) == 1 and isinstance(configs[0], ClassifierConfig):
        if test:
            raise ConfigError(f"{paths[0]}: holds a classifier, options of 'model.test' are a detector's: {', '.join(test)}")
        model, card = load_model(paths[0])
        return ImageClassifier(cast(Classifier, model.to(where)), **_test_sizes(paths[0], card, "short_side", "crop"))
    if isinstance(configs[0], LocalizerConfig):
        return load_localizers(paths, where, config=replace(configs[0], test=changed_test(configs[0].test, test or {})))
    check_detectors(paths, configs)
    options = changed_test(configs[0].test, test or {})
    sizes = [_test_sizes(each, card, "short_side", "max_side") for each, card in zip(paths, cards, strict=True)]
    for each, own in zip(paths, sizes, strict=True):
        if own != sizes[0]:
            warnings.warn(f"{each}: pictures are resized to {sizes[0]}, as {paths[0]} says, not to {own}", stacklevel=2)
    changed = [replace(config, test=options) for config in configs]
    models = load_detectors(paths, changed, where, precision=precision, compiled=compiled)
    return Detector(*models, **sizes[0], improvements=improvements_of(options))


def check_detectors(paths: Sequence[str | Path], configs: Sequence[Any]) -> None:
    """A ConfigError naming each of the model files ``paths`` whose config, of ``card_config``, is not a detector's."""
    kinds = {ClassifierConfig: "classification", LocalizerConfig: "localization"}
    problems = [
        f"{path}: holds a {kinds[type(config)]} model; an ensemble is of detectors"
        for path, config in zip(paths, configs, strict=True)
        if not isinstance(config, DetectorConfig)
    ]
    if problems:
        raise ConfigError(problems)


def load_detectors(
    paths: Sequence[str | Path],
    configs: Sequence[DetectorConfig],
    device: torch.device,
    *,
    precision: str = "fp32",
    compiled: bool = False,
) -> list[FasterRCNN]:
    """Detectors of the same classes, in eval mode, prepared for inference (``FasterRCNN.prepare``).

    Args:
        paths: their model files.
        configs: of each, what is free at test time, as for ``load_model``.
        device: where they run.
        precision: "fp32", "bf16" or "fp16", of the convolutions.
        compiled: whether torch.compile fuses the layers.

    Raises:
        ConfigError: a file that does not fit its config, or other classes than the first file's, or in another order; a number
            format that is unknown, or that the device does not have.
        DataError: a file that cannot be read.
    """
    models = [cast(FasterRCNN, load_model(path, config)[0]) for path, config in zip(paths, configs, strict=True)]
    common_names({str(path): model.names for path, model in zip(paths, models, strict=True)})
    dtype = number_format(precision, device)
    return [model.to(device).prepare(dtype, compiled=compiled) for model in models]


def common_names(names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The class names of the members of an ensemble, which are called ``{file: names}``.

    Raises:
        ConfigError: naming each member whose classes, or their order, differ from the first one's.
    """
    (first, reference), *others = names.items()
    problems = [f"{path}: {difference} in {first}" for path, own in others if (difference := class_difference(own, reference))]
    if problems:
        raise ConfigError(problems)
    return tuple(reference)


def changed_test(config: TestConfigT, changes: Mapping[str, Any]) -> TestConfigT:
    """``config`` with other values of some options; a ConfigError names each that is unknown or out of range."""
    values, notes = with_new_names({"model": {"test": changes}})
    if notes:
        warnings.warn(", ".join(notes), stacklevel=3)
    try:
        changed: TestConfigT = config_from_dict(type(config), {**config_to_dict(config), **values["model"]["test"]})
    except ConfigError as error:
        raise ConfigError([f"model.test: {problem}" for problem in error.problems]) from error
    return changed


def improvements_of(config: DetectionTestConfig) -> Improvements:
    """What a config's ``model.test`` adds to one pass; a ConfigError when its scales do not increase."""
    return Improvements(config.refine, config.flip, tuple(config.short_sides))


def _test_sizes(path: str | Path, card: ModelCard, *names: str) -> dict[str, int]:
    wrong = [name for name in names if type(card.test.get(name)) is not int or card.test[name] < 0]
    if wrong:
        raise DataError([f"{path}: its card: 'test.{name}' must be pixels, got {card.test.get(name)!r}" for name in wrong])
    return {name: card.test[name] for name in names}


def is_model_file(path: str | Path) -> bool:
    """Whether a file is one that training wrote, alone enough to run; a broken safetensors file counts as one.

    Raises:
        ConfigError: no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such model file")
    try:
        with safe_open(path, framework="pt") as file:
            return "resdet" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return path.suffix == ".safetensors"


def load_foreign_classifier(path: str | Path, config: ClassifierConfig, names: Sequence[str]) -> Classifier:
    """The classifier that ``config`` describes with the weights of a file without a card, in eval mode on the CPU.

    Args:
        path: torch ``.pth`` or safetensors of a whole classifier, ``fc`` included.
        config: the network, and the pixel convention of its weights.
        names: the class names, in label order.

    Raises:
        ConfigError: weights of another network, without a classifier, or of another number of classes.
        DataError: a file that cannot be read.
    """
    weight = read_weights(path).state.get("fc.weight")
    if weight is None:
        raise ConfigError(f"{path}: holds no classifier: must have 'fc.weight'")
    if weight.shape[0] != len(names):
        raise ConfigError(f"{path}: its classifier has {weight.shape[0]} classes, the data has {len(names)}")
    return build_classifier(replace(config, backbone=replace(config.backbone, weights=str(path))), names).eval()


def predict(
    weights: str | Path | Sequence[str | Path],
    images: Any,
    *,
    device: str = "auto",
    precision: str = "fp32",
    test: Mapping[str, Any] | None = None,
) -> Any:
    """``load(weights, …).predict(images)``: for one call; keep what ``load`` returns for more than one.

    Args:
        weights: a model file, or several of detectors.
        images: a picture, as ``Detector.predict`` and ``ImageClassifier.predict`` take it.
        device: auto, cpu, cuda or mps.
        precision: number format of a detector's convolutions, as for ``load``.
        test: options of ``model.test``, as for ``load``.

    Raises:
        ConfigError: a localizer, which needs classes; otherwise, as DataError, those of ``load`` and of its ``predict``.
    """
    model = load(weights, device=device, precision=precision, test=test)
    if isinstance(model, Localizer):
        raise ConfigError(f"{weights}: holds a localizer, which must be told classes: load(weights).predict(image, classes)")
    return model.predict(images)
