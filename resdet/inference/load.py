"""``resdet.load``: any model file, ready to run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.models.build import load_model
from resdet.models.classifier import Classifier


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
        return ImageClassifier(model, short_side=card.test["short_side"], crop=card.test["crop"])
    return Detector(model, short_side=card.test["short_side"], max_side=card.test["max_side"])


def predict(weights: str | Path, images: Any, *, device: str = "auto") -> Any:
    """``load(weights).predict(images)``: for one call; keep what ``load`` returns for more than one.

    Args:
        weights: a model file.
        images: a picture, as ``Detector.predict`` and ``ImageClassifier.predict`` take it.
        device: auto, cpu or cuda.
    """
    return load(weights, device=device).predict(images)
