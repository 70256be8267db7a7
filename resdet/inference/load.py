"""``resdet.load``: any model file, ready to run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from resdet.config.schema import ClassifierConfig
from resdet.errors import ConfigError, DataError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.models.backbones.weights.read import read_weights
from resdet.models.build import build_classifier, load_model
from resdet.models.classifier import Classifier
from resdet.models.model_file import ModelCard


def select_device(name: str = "auto") -> torch.device:
    """The device a name means: auto takes a GPU when there is one.

    Raises:
        ConfigError: an unknown name, or a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ConfigError(f"device {name!r}: torch sees {count or 'no'} CUDA device{'s'[: count != 1]} on this machine")
    return device


def load(path: str | Path, *, device: str = "auto") -> Detector | ImageClassifier:
    """Read a model file and make it ready to run.

    Args:
        path: a ``model.safetensors`` that training wrote.
        device: auto, cpu or cuda.

    Raises:
        ConfigError: no such file, or one that does not fit.
        DataError: a file that cannot be read.
    """
    model, card = load_model(path)
    model.to(select_device(device))
    if isinstance(model, Classifier):
        return ImageClassifier(model, **_test_sizes(path, card, "short_side", "crop"))
    return Detector(model, **_test_sizes(path, card, "short_side", "max_side"))


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


def predict(weights: str | Path, images: Any, *, device: str = "auto") -> Any:
    """``load(weights).predict(images)``: for one call; keep what ``load`` returns for more than one.

    Args:
        weights: a model file.
        images: a picture, as ``Detector.predict`` and ``ImageClassifier.predict`` take it.
        device: auto, cpu or cuda.
    """
    return load(weights, device=device).predict(images)
