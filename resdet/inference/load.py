"""``resdet.load``: any model file, ready to run."""

from __future__ import annotations

from pathlib import Path

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
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}") from error
    if device.type == "cuda" and not available:
        raise ConfigError(f"device {name!r}: torch sees no CUDA device on this machine")
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
