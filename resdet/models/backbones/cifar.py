"""The networks for CIFAR's 32x32 images: three stages of 16, 32 and 64 channels, any depth (paper, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resdet.errors import ConfigError
from resdet.models.backbones.registry import register_family
from resdet.models.backbones.resnet import ResNet, build_plain, build_resnet

_OWN = {"stem": "cifar", "num_classes": 10, "width": 16}


@register_family("cifar_resnet{}", 20, 32, 44, 56, 110, 1202, rule="6n + 2")
def cifar_resnet(depth: int, **options: Any) -> ResNet:
    """The residual network of ``depth`` = 6n + 2 layers: n basic blocks a stage.

    Args:
        depth: 8, 14, 20, …
        options: those of ``build_resnet``; by default 10 classes, width 16, shortcut A.

    Raises:
        ConfigError: a depth that is not 6n + 2, or an option out of range.
    """
    return _basic(build_resnet, "cifar_resnet", depth, {"shortcut": "A", **options})


@register_family("cifar_plain{}", 20, 32, 44, 56, 110, rule="6n + 2")
def cifar_plain(depth: int, **options: Any) -> ResNet:
    """``cifar_resnet`` without shortcuts; arguments and errors are the same."""
    return _basic(build_plain, "cifar_plain", depth, options)


@register_family("cifar_preact_resnet{}", 20, 32, 44, 56, 110, 164, 1001, rule="6n + 2; 164 and 1001 with bottlenecks")
def cifar_preact_resnet(depth: int, **options: Any) -> ResNet:
    """``cifar_resnet`` of pre-activation blocks; 164 and 1001 layers are the bottleneck networks of He et al. 2016.

    Arguments and errors are those of ``cifar_resnet``; for 164 and 1001 layers those of ``cifar_preact_bottleneck``.
    """
    if depth in {164, 1001}:
        return _preact_bottleneck("cifar_preact_resnet", depth, options)
    return _basic(build_resnet, "cifar_preact_resnet", depth, {"shortcut": "A", "preactivation": True, **options})


@register_family("cifar_preact_bottleneck{}", rule="9n + 2")
def cifar_preact_bottleneck(depth: int, **options: Any) -> ResNet:
    """The network of ``depth`` = 9n + 2 layers: n pre-activation bottlenecks a stage, 64, 128 and 256 channels at their ends.

    Args:
        depth: 11, 20, 29, …
        options: those of ``build_resnet``; by default 10 classes, width 16, shortcut B, as in the code that the authors
            released (which also has ``stride_in_1x1=True``).

    Raises:
        ConfigError: a depth that is not 9n + 2, or an option out of range.
    """
    return _preact_bottleneck("cifar_preact_bottleneck", depth, options)


def _basic(build: Callable[..., ResNet], family: str, depth: int, options: dict[str, Any]) -> ResNet:
    stages = _equal_stages(family, depth, 6)
    return build(f"{family}{depth}", "basic", stages, **{**_OWN, **options})


def _preact_bottleneck(family: str, depth: int, options: dict[str, Any]) -> ResNet:
    stages = _equal_stages(family, depth, 9)
    options = {**_OWN, "shortcut": "B", "preactivation": True, **options}
    return build_resnet(f"{family}{depth}", "bottleneck", stages, **options)


def _equal_stages(family: str, depth: int, layers: int) -> tuple[int, int, int]:
    """Blocks of the three stages, from the layers that one block in each of them has together."""
    blocks, rest = divmod(depth - 2, layers)
    if rest or blocks < 1:
        raise ConfigError(f"{family}: 'depth' must be {layers}n + 2 with n >= 1, got {depth}")
    return blocks, blocks, blocks
