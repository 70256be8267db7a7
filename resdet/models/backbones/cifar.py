"""Residual networks for CIFAR: 6n + 2 layers, 16/32/64 channels, option A (paper, section 4.2)."""

from __future__ import annotations

from typing import Any

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet, build_resnet
from resdet.models.registry import register_backbone


def cifar_resnet(depth: int, **options: Any) -> ResNet:
    """The network of ``depth`` = 6n + 2 layers for 32x32 images; ``shortcut="none"`` makes it plain.

    Args:
        depth: 8, 14, 20, …; the paper's are 20, 32, 44, 56, 110 and 1202.
        options: those of ``build_resnet``; by default 10 classes, width 16, shortcut A.

    Raises:
        ConfigError: a depth that is not 6n + 2, or an option out of range.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ConfigError(f"cifar_resnet: 'depth' must be 6n + 2 with n >= 1, got {depth}")
    options = {"num_classes": 10, "width": 16, "shortcut": "A", **options}
    return build_resnet(f"cifar_resnet{depth}", "basic", (blocks,) * 3, stem="cifar", **options)


@register_backbone
def cifar_resnet20(**options: Any) -> ResNet:
    """``cifar_resnet`` with 20 layers."""
    return cifar_resnet(20, **options)


@register_backbone
def cifar_resnet32(**options: Any) -> ResNet:
    """``cifar_resnet`` with 32 layers."""
    return cifar_resnet(32, **options)


@register_backbone
def cifar_resnet44(**options: Any) -> ResNet:
    """``cifar_resnet`` with 44 layers."""
    return cifar_resnet(44, **options)


@register_backbone
def cifar_resnet56(**options: Any) -> ResNet:
    """``cifar_resnet`` with 56 layers."""
    return cifar_resnet(56, **options)


@register_backbone
def cifar_resnet110(**options: Any) -> ResNet:
    """``cifar_resnet`` with 110 layers."""
    return cifar_resnet(110, **options)
