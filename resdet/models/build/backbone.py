"""Residual networks of a config, with their weights loaded."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

from torch import nn

from resdet.config.schema import BackboneConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.unnormalized import ScaleShift, fixup_init
from resdet.models.backbones.weights import LoadReport, load_backbone_weights
from resdet.models.card_network import stated_pixels
from resdet.ops.frozen_bn import FrozenBatchNorm2d, looks_unloaded
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

_log = logging.getLogger(__name__)


def build_backbone(
    config: BackboneConfig, num_classes: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d
) -> tuple[ResNet, PixelConvention]:
    """The residual network of a config with its weights loaded, and the pixel convention they want.

    Warns where nothing shows which pixels and which stride the weights want.

    Raises:
        ConfigError: unknown backbone, or weights that do not fit it.
        DataError: a weights file that cannot be read.
    """
    resnet, pixels, report = _load_backbone(config, num_classes, norm if config.norm == "batch" else ScaleShift)
    if report and report.doubt:
        warnings.warn(report.doubt, stacklevel=2)
    return resnet, pixels


def build_frozen_backbone(config: BackboneConfig) -> tuple[ResNet, PixelConvention]:
    """``build_backbone`` with frozen BN and a classifier of one class, for networks that leave it out.

    Warns as ``build_backbone`` does, and when BN is frozen at statistics that were never loaded: such a network hardly trains.
    Raises also a ConfigError for a network without BN.
    """
    if config.norm != "batch":  # a card says so, or Python: run files are checked before
        raise ConfigError(
            f"option 'model.backbone.norm' {config.norm} is for classifiers: detectors and localizers need BN to freeze"
        )
    resnet, pixels, report = _load_backbone(config, 1, FrozenBatchNorm2d)
    warned = [report.doubt] if report and report.doubt else []
    if looks_unloaded(resnet):
        origin = f"{report.path} holds no BN statistics" if report else "no backbone weights are given"
        warned.insert(
            0,
            f"frozen BN has mean 0 and variance 1 in every layer ({origin}): right only where the statistics were folded "
            "into scale and shift",
        )
    if warned:
        warnings.warn("; ".join(warned), stacklevel=3)
    return resnet, pixels


def _load_backbone(
    config: BackboneConfig, num_classes: int, norm: Callable[[int], nn.Module]
) -> tuple[ResNet, PixelConvention, LoadReport | None]:
    """What ``build_backbone`` gives, and what became of the weights; None without any."""
    resnet = create_backbone(
        config.name,
        num_classes=num_classes,
        norm=norm,
        stride_in_1x1=config.stride_in_1x1,
        shortcut=config.shortcut,
        width=config.width,
        zero_init_last=config.zero_init_last,
        shortcut_norm=config.shortcut_norm,
    )
    if config.norm == "fixup":
        fixup_init(resnet)
    pixels = stated_pixels(config, PIXEL_CONVENTIONS["torchvision"])
    if not config.weights:
        return resnet, pixels, None
    given = pixels if config.pixels != "auto" or config.mean or config.std else None
    report = load_backbone_weights(resnet, config.weights, pixels=given, stride_in_1x1=config.stride_in_1x1)
    _log.info("backbone %s from %s: %s", config.name, report.path, report.summary())
    return resnet, report.pixels, report
