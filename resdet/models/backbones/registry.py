"""The backbone registry: a dictionary of networks by name, and a decorator that fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from resdet.errors import ConfigError, did_you_mean
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.spec import BackboneSpec

_Builder = TypeVar("_Builder", bound=Callable[..., ResNet])


@dataclass(frozen=True)
class _AnyDepth:
    build: Callable[..., ResNet]
    rule: str


_NETWORKS: dict[str, Callable[..., ResNet]] = {}
_ANY_DEPTH: dict[str, _AnyDepth] = {}  # by what stands before the depth in a name
_DEEPEST = 10_000  # layers; names of networks come from files, too
_NETWORKS_OWN: dict[str, Any] = {"width": 0, "shortcut": "auto"}


def register_family(name: str, *depths: int, rule: str = "") -> Callable[[_Builder], _Builder]:
    """Decorator: make ``build(depth, **options)`` known, ``"resnet{}"`` for instance as ``"resnet18"``, ``"resnet34"``, ….

    Args:
        name: with ``{}`` in place of the depth.
        depths: those that ``list_backbones`` names, in its order.
        rule: what other depths there are, ``"6n + 2"`` for instance, for readers; ``build`` itself checks a depth and raises
            ConfigError, and ``name`` ends with the depth. Empty: there are no others.

    Raises:
        ConfigError: when the name of one of its networks is taken.
    """

    def register(build: _Builder) -> _Builder:
        networks: dict[str, Callable[..., ResNet]] = {name.format(depth): partial(build, depth) for depth in depths}
        taken = [network for network in networks if network in _NETWORKS]
        if taken:
            raise ConfigError([f"backbone {network!r} is registered already" for network in taken])
        _NETWORKS.update(networks)
        if rule:
            _ANY_DEPTH[name.removesuffix("{}")] = _AnyDepth(build, rule)
        return build

    return register


def create_backbone(name: str, **options: Any) -> ResNet:
    """Build the network ``name``, randomly initialized.

    Args:
        name: one of ``list_backbones()``, or a family of ``family_rules()`` and a depth that fits its rule.
        options: keyword arguments of ``resdet.models.backbones.resnet.build_resnet``: num_classes, norm, stride_in_1x1,
            shortcut, width, zero_init_last, in_channels. ``width=0`` and ``shortcut="auto"`` mean the network's own: 64 and B;
            for CIFAR's 16, A with basic blocks and B with bottlenecks; no shortcut in plain ones.

    Raises:
        ConfigError: unknown name, a depth that does not fit the family's rule, or an option out of range.
    """
    build = _NETWORKS.get(name) or _of_any_depth(name)
    if build is None:
        raise ConfigError(f"unknown backbone {name!r}{did_you_mean(name, list_backbones())}")
    given = {key: value for key, value in options.items() if not (key in _NETWORKS_OWN and value == _NETWORKS_OWN[key])}
    return build(**given)


def backbone_spec(name: str, **options: Any) -> BackboneSpec:
    """The shape of the network that ``create_backbone`` would build, without its numbers; raises as that does."""
    with torch.device("meta"):
        return create_backbone(name, **options).spec


def backbone_numbers(name: str, **options: Any) -> int:
    """How many numbers the parameters of ``create_backbone``'s network are, which is not built for it; raises as that does."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in create_backbone(name, **options).parameters())


def list_backbones() -> list[str]:
    """The names of the networks that papers report, in the order of their registration."""
    return list(_NETWORKS)


def family_rules() -> dict[str, str]:
    """The families with more depths than those listed: name to rule, ``{"cifar_resnet": "6n + 2", …}``."""
    return {family: any_depth.rule for family, any_depth in _ANY_DEPTH.items()}


def _of_any_depth(name: str) -> Callable[..., ResNet] | None:
    family = name.rstrip("0123456789")
    depth = name.removeprefix(family)
    if family not in _ANY_DEPTH or not depth or depth.startswith("0"):
        return None
    if len(depth) > len(str(_DEEPEST)) or int(depth) > _DEEPEST:
        raise ConfigError(f"backbone {family}…: must have at most {_DEEPEST} layers, got {depth[:20]}")
    return partial(_ANY_DEPTH[family].build, int(depth))
