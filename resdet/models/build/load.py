"""Networks of model files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from resdet.config import config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.config.schema import ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.models.build.classifier import build_classifier
from resdet.models.build.detector import build_detector
from resdet.models.build.localizer import build_localizer
from resdet.models.card_network import card_config, card_pixels, check_same_network, check_size
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import ModelCard, load_tensors, read_model


def load_model(
    path: str | Path, config: DetectorConfig | ClassifierConfig | None = None
) -> tuple[FasterRCNN | Classifier, ModelCard]:
    """The network of a detector's or a classifier's model file, in eval mode on the CPU, and its card.

    Args:
        path: a file of ``write_model``.
        config: gives what is free at test time (numbers of proposals, thresholds, …); the file's own when None.

    Raises:
        ConfigError: no such file, an unknown task, a config of another network, or tensors that do not fit the card.
        DataError: a file that cannot be read.
    """
    state, card = read_model(path)
    own = card_config(path, card)
    if isinstance(own, LocalizerConfig):
        raise ConfigError(f"{path}: holds a localizer, must be a detector or a classifier")
    pixels = card_pixels(path, card)
    if config is not None:
        check_same_network(path, own, config, pixels)
        own = config
    check_size(path, own, card.names, state)
    own = replace(own, backbone=replace(own.backbone, weights=""))  # the weights are in this file already
    model = cast(FasterRCNN | Classifier, _network(own, card.names, state))
    model.pixels = pixels
    model.card = replace(card, architecture=config_to_dict(own))
    return load_tensors(model, path, state), card


def load_localizer(
    path: str | Path, config: LocalizerConfig | None = None
) -> tuple[PerClassRPN | RegionLocalizer, LocalizerConfig]:
    """The localizer of a model file, in eval mode on the CPU, and its config.

    Args:
        path: a file that `train-loc` wrote.
        config: must describe the same network, and gives its ``test``; the file's own when None.

    Raises:
        ConfigError: no such file, one of another task, a config of another network, or tensors that do not fit the card.
        DataError: a file that cannot be read.
    """
    state, card = read_model(path)
    if card.task != "localization":
        raise ConfigError(f"{path}: must be a localizer, holds a model of task {card.task!r}")
    own = cast(LocalizerConfig, card_config(path, card))
    pixels = card_pixels(path, card)
    if config is not None:
        check_same_network(path, own, config, pixels)
        own = replace(own, test=config.test)
    check_size(path, own, card.names, state)
    bare = replace(own, backbone=replace(own.backbone, weights=""))  # the weights are in this file already
    model = cast(PerClassRPN | RegionLocalizer, _network(bare, card.names, state))
    for part in (model,) if isinstance(model, PerClassRPN) else (model.rpn, model.regions):
        part.pixels = pixels
    model.card = replace(card, architecture=config_to_dict(bare))
    return load_tensors(model, path, state), own


def unfit(card: ModelCard, state: Mapping[str, Tensor]) -> list[str]:
    """The tensors, by name, that the network of a card lacks, has in another shape, or has beside them."""
    own = card_config("save", card)
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn
        expected = _network(replace(own, backbone=replace(own.backbone, weights="")), card.names, state).state_dict()
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in (expected, state)]
    return [name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name)]


def _network(
    config: DetectorConfig | ClassifierConfig | LocalizerConfig, names: list[str], state: Mapping[str, Tensor]
) -> FasterRCNN | Classifier | PerClassRPN | RegionLocalizer:
    """The network of a card, before its tensors are filled in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BN statistics come with the tensors
        if isinstance(config, DetectorConfig):
            return build_detector(config, names)
        if isinstance(config, LocalizerConfig):
            return build_localizer(config, names)
        mean_image = state.get("mean_image")
        # a copy: a network that keeps what was read would keep the file open, which Windows then lets nobody replace
        return build_classifier(config, names, None if mean_image is None else mean_image.clone())
