"""A small classifier with random weights, and its model file."""

from __future__ import annotations

from pathlib import Path

import torch

from resdet.config import config_to_dict
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.models.build import build_classifier
from resdet.models.classifier import Classifier
from resdet.models.model_file import ModelCard, write_model

NAMES = ("cat", "dog", "emu")
CONFIG = ClassifierConfig(BackboneConfig("resnet18", width=4))


def tiny_classifier(seed: int = 0, names: tuple[str, ...] = NAMES) -> Classifier:
    """A classifier in eval mode."""
    torch.manual_seed(seed)
    return build_classifier(CONFIG, names).eval()


def written(path: Path, model: Classifier | None = None, short_side: int = 40, crop: int = 32) -> Path:
    """A classifier as a model file."""
    model = model or tiny_classifier()
    sizes = {"short_side": short_side, "crop": crop}
    card = ModelCard("classification", config_to_dict(CONFIG), list(model.names), model.pixels.to_dict(), sizes)
    write_model(path, model.state_dict(), card)
    return path
