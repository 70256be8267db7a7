"""The network that a model file's card describes, as a config, and whether a run file's config describes the same one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from resdet.config import config_from_dict, config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.config.old_names import with_new_names
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError, DataError
from resdet.models.backbones.registry import backbone_numbers
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import ModelCard
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

_SPARE = 10_000  # numbers of a backbone's classifier, which detectors leave out
_log = logging.getLogger(__name__)
NetworkT = TypeVar("NetworkT", FasterRCNN, Classifier, PerClassRPN, RegionLocalizer)
_MODEL_CONFIGS: dict[str, type[DetectorConfig | ClassifierConfig | LocalizerConfig]] = {
    "detection": DetectorConfig,
    "classification": ClassifierConfig,
    "localization": LocalizerConfig,
}
# options that are part of the trained network: another value would silently run another function on the same tensors
_NETWORK_OPTIONS = (
    "backbone.name",
    "backbone.stride_in_1x1",
    "backbone.shortcut",
    "backbone.width",
    "backbone.norm",
    "anchors.sizes",
    "anchors.ratios",
    "anchors.rounded",
    "roi.pooling",
    "roi.pooled_size",
    "roi.sampling_ratio",
    "roi.context",
    "stage",
)


def card_config(path: str | Path, card: ModelCard) -> Any:
    """The DetectorConfig, ClassifierConfig or LocalizerConfig of the network that a model file's card describes.

    Args:
        path: the file, for messages.
        card: what it says of itself.

    Raises:
        ConfigError: an unknown task, or options that this version does not know.
    """
    if card.task not in _MODEL_CONFIGS:
        raise ConfigError(f"{path}: 'task' must be one of {', '.join(_MODEL_CONFIGS)}, got {card.task!r}")
    values, notes = with_new_names({"model": card.architecture})
    if notes:
        _say(f"{path}: its card is of an earlier release: {', '.join(notes)}")
    try:
        return config_from_dict(_MODEL_CONFIGS[card.task], values["model"])
    except ConfigError as error:
        raise ConfigError([f"{path}: its card: {problem}" for problem in error.problems]) from error


@functools.cache  # a card is read more than once on the way to a network
def _say(note: str) -> None:
    _log.info(note)


def card_pixels(path: str | Path, card: ModelCard) -> PixelConvention:
    """The pixel convention of a model file's card; a DataError that names the file where there is none."""
    try:
        return PixelConvention.from_dict(card.pixels)
    except (ConfigError, DataError, TypeError, ValueError, KeyError) as error:
        raise DataError(f"{path}: its card: {error}") from error


def stated_pixels(config: BackboneConfig, otherwise: PixelConvention) -> PixelConvention:
    """The pixel convention that a config asks for; ``otherwise`` is taken for auto, with the config's mean and std if given."""
    return PIXEL_CONVENTIONS.get(config.pixels, otherwise).with_colours(config.mean, config.std)


def check_size(path: str | Path, config: Any, names: Sequence[str], state: Mapping[str, Tensor]) -> None:
    """Check, before it is built, that the network of a card is not larger than the tensors in its file.

    Args:
        path: the file, for messages.
        config: what its card says, of ``card_config``.
        names: the card's class names.
        state: the file's tensors.

    Raises:
        DataError: it has more classes or anchors than any tensor has rows, or more numbers than all tensors together.
    """
    rows = max((len(tensor) for tensor in state.values() if tensor.ndim and tensor.numel()), default=0)
    counts = {"classes": len(names)}
    if hasattr(config, "anchors"):
        counts["anchors a position"] = len(config.anchors.sizes) * len(config.anchors.ratios)
    for what, count in counts.items():
        if count > rows:
            raise DataError(f"{path}: its card describes {count} {what}, its tensors have {rows} rows at most")
    name = config.backbone.name
    layers = name.removeprefix(name.rstrip("0123456789")) if name.startswith("cifar_") else ""
    if len(layers) < 10 and int(layers or 0) > len(state):  # the registry tells of more digits
        raise DataError(f"{path}: its card describes a network of {layers} layers, it holds {len(state)} tensors")
    if config.backbone.width == 0 and not layers:
        return  # one of the usual networks
    held = sum(tensor.numel() for tensor in state.values())
    wanted = backbone_numbers(
        config.backbone.name, width=config.backbone.width, shortcut=config.backbone.shortcut, num_classes=1
    )
    if wanted > held + _SPARE:
        raise DataError(f"{path}: its card describes a network of {wanted} numbers, its tensors hold {held}")


def with_card(model: NetworkT, config: DetectorConfig | ClassifierConfig | LocalizerConfig) -> NetworkT:
    """Note on a network the card of its model file, still without the sizes of testing.

    Args:
        model: a network that was built from ``config``.
        config: goes into the card as the architecture.

    Returns:
        ``model`` itself.
    """
    model.card = ModelCard(_task_of(config), config_to_dict(config), list(model.names), model.pixels.to_dict(), test={})
    return model


def check_same_network(path: str | Path, own: Any, config: Any, pixels: PixelConvention) -> None:
    """Check that a config describes the network of a model file, and gives it the pixels that it was trained on.

    Args:
        path: the file, for messages.
        own: what its card says, of ``card_config``.
        config: the config.
        pixels: the card's convention.

    Raises:
        ConfigError: naming each option of another network, or of other pixels.
    """
    if type(own) is not type(config):
        raise ConfigError(f"{path}: holds a {_task_of(own)} model, the config describes a {_task_of(config)} model")
    problems = []
    for name in _NETWORK_OPTIONS:
        if hasattr(own, name.partition(".")[0]):
            there, here = (attrgetter(name)(each) for each in (own, config))
            if there != here:
                problems.append(f"{path}: was trained with 'model.{name}' {there!r}, the config says {here!r}")
    wanted = stated_pixels(config.backbone, pixels)
    if isinstance(own, ClassifierConfig) and not config.backbone.mean:  # it may have been trained with that of a mean image
        wanted = replace(wanted, mean=pixels.mean)
    if wanted != pixels:
        problems.append(
            f"{path}: was trained on pixels {pixels.describe()}, 'model.backbone.pixels' {config.backbone.pixels} "
            f"{'with its mean and std ' if config.backbone.mean or config.backbone.std else ''}is {wanted.describe()}"
        )
    if problems:
        raise ConfigError(problems)


def _task_of(config: Any) -> str:
    return next(task for task, kind in _MODEL_CONFIGS.items() if isinstance(config, kind))
