"""Whose detector a weights file holds, and where its settings are said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.weights.published import is_published_detector
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.wrappings import is_torchvision_detector
from resdet.models.convert.detectron2_settings import config_beside, detectron2_settings
from resdet.models.convert.settings import DetectorSettings
from resdet.models.convert.torchvision_settings import settings_beside, torchvision_settings


def find_settings(file: WeightsFile, config: str | Path | None = None, *, boxes_only: bool = False) -> DetectorSettings | None:
    """The settings of a detector: those of a config, of the one beside its weights, or its toolkit's own; None for no detector.

    Args:
        file: its weights.
        config: Detectron2's config.yaml, or the JSON file of a torchvision detector; None: the one beside the weights.
        boxes_only: whether a mask or keypoint head has been left out.

    Raises:
        ConfigError: no such config, one of another toolkit, of no detector, or with what resdet's detectors do not have.
        DataError: a config that cannot be read.
    """
    path = Path(config) if config else None
    if path is not None and not path.is_file():
        raise ConfigError(f"--config: no such file: {path}")
    if is_torchvision_detector(file.state):
        return torchvision_settings(path or settings_beside(file.path))
    if is_detectron2_detector(file.state):
        path, published = path or config_beside(file.path), is_published_detector(file.path)
        return detectron2_settings(path, boxes_only=boxes_only, published=published)
    if path is not None:
        raise ConfigError(f"{path}: says how a detector is, {file.path} holds none")
    return None


def own_settings(file: WeightsFile) -> DetectorSettings | None:
    """The settings that the toolkit of a detector has by itself; None for no detector."""
    if is_torchvision_detector(file.state):
        return torchvision_settings()
    return detectron2_settings() if is_detectron2_detector(file.state) else None


def is_detectron2_detector(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is one of Detectron2's detectors."""
    return any(key.startswith(("roi_heads.", "proposal_generator.")) for key in state) and not is_torchvision_detector(state)
