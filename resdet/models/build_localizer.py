"""From config and files to localizers: the only place that unpacks their config."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import Tensor

from resdet.config import config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.errors import ConfigError
from resdet.models.build import build_frozen_backbone
from resdet.models.card_network import card_config, check_same_network, with_card
from resdet.models.detection.anchors import AnchorGrid, cell_anchors
from resdet.models.localization.body import network_body
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer, RegionNet
from resdet.models.model_file import ModelCard, load_tensors, read_model
from resdet.structures import PixelConvention


def build_localizer(config: LocalizerConfig, names: Sequence[str]) -> PerClassRPN | RegionLocalizer:
    """The localizer of a config for the classes ``names``, both networks with the backbone's weights.

    BN is frozen at the statistics of these, as in the detector (paper, appendix A).

    Raises:
        ConfigError: as ``build_backbone``, or more frozen stages than there are.
        DataError: a weights file that cannot be read.
    """
    rpn = _build_rpn(config, names)
    if config.stage == "rpn":
        return with_card(rpn, config)
    return with_card(RegionLocalizer(rpn, _build_region_net(config, len(names))), config)


def start_localizer(config: LocalizerConfig, names: Sequence[str]) -> PerClassRPN | RegionLocalizer:
    """The localizer that training begins with: of stage rcnn with the trained RPN of ``config.weights``.

    Raises:
        ConfigError: as ``build_localizer``; no such file, one of another network, other classes or another pixel convention.
        DataError: a file that cannot be read.
    """
    if config.stage == "rpn":
        return build_localizer(config, names)
    rpn, own = load_localizer(config.weights)
    if not isinstance(rpn, PerClassRPN):
        raise ConfigError(f"{config.weights}: option 'model.weights' must name a localizer of stage rpn, it is of stage rcnn")
    check_same_network(config.weights, own, replace(config, stage="rpn"), rpn.pixels)
    regions = _build_region_net(config, len(names))
    problems = []
    if rpn.names != tuple(names):
        problems.append(f"its classes must be those of the data, {_few(names)}, got {_few(rpn.names)}")
    if rpn.pixels != regions.pixels:
        problems.append(f"it was trained on {rpn.pixels}, the weights of 'model.backbone' want {regions.pixels}")
    if problems:
        raise ConfigError([f"{config.weights}: {problem}" for problem in problems])
    return with_card(RegionLocalizer(rpn, regions), config)


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
    state, card, own = _read(path)
    pixels = PixelConvention.from_dict(card.pixels)
    if config is not None:
        check_same_network(path, own, config, pixels)
        own = replace(own, test=config.test)
    bare = replace(own, backbone=replace(own.backbone, weights=""))  # the weights are in this file already
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BN statistics come with the state below
        model = build_localizer(bare, card.names)
    for part in (model,) if isinstance(model, PerClassRPN) else (model.rpn, model.regions):
        part.pixels = pixels
    model.card = replace(card, architecture=config_to_dict(bare))
    return load_tensors(model, path, state), own


def _read(path: str | Path) -> tuple[dict[str, Tensor], ModelCard, LocalizerConfig]:
    state, card = read_model(path)
    if card.task != "localization":
        raise ConfigError(f"{path}: must be a localizer, holds a model of task {card.task!r}")
    return state, card, cast(LocalizerConfig, card_config(path, card))


def _build_rpn(config: LocalizerConfig, names: Sequence[str]) -> PerClassRPN:
    resnet, pixels = build_frozen_backbone(config.backbone)
    anchors = AnchorGrid(cell_anchors(config.anchors.sizes, config.anchors.ratios), resnet.spec.stride)
    return PerClassRPN(
        network_body(resnet, config.freeze_at),
        PerClassHead(resnet.spec.stage_channels[-1], anchors.per_position, len(names)),
        anchors,
        pixels=pixels,
        names=names,
        batch=config.rpn.batch,
        fg_iou=config.rpn.fg_iou,
        bg_iou=config.rpn.bg_iou,
        smooth_l1_beta=config.rpn.smooth_l1_beta,
    )


def _build_region_net(config: LocalizerConfig, num_classes: int) -> RegionNet:
    resnet, pixels = build_frozen_backbone(config.backbone)
    return RegionNet(
        network_body(resnet, config.freeze_at),
        PerClassHead(resnet.spec.stage_channels[-1], 1, num_classes),
        pixels=pixels,
        side=config.rcnn.side,
        smooth_l1_beta=config.rcnn.smooth_l1_beta,
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" … ({len(names)})" if len(names) > 4 else "")
