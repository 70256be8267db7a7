"""The backbone registry: families of networks, a network's name being its family's name and its depth."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from resdet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from resdet.models.backbones.resnet import ResNet
    from resdet.models.backbones.spec import BackboneSpec

_Builder = TypeVar("_Builder", bound="Callable[..., ResNet]")


@dataclass(frozen=True)
class _Family:
    build: Callable[..., ResNet]
    depths: tuple[int, ...]
    rule: str


_FAMILIES: dict[str, _Family] = {}
_NETWORKS_OWN: dict[str, Any] = {"width": 0, "shortcut": "auto"}
# these modules register the networks that come with resdet when they are imported
_MODULES = ("resdet.models.backbones.resnet", "resdet.models.backbones.cifar")


def register_family(*depths: int, rule: str = "") -> Callable[[_Builder], _Builder]:
    """Decorator: make ``build(depth, **options)`` known, ``resnet`` for instance as ``"resnet18"``, ``"resnet34"``, ….

    Args:
        depths: those that ``list_backbones`` names, in its order.
        rule: what other depths there are, ``"6n + 2"`` for instance, for readers; ``build`` itself checks a depth and raises
            ConfigError. Empty: there are no others.

    Raises:
        ConfigError: when the family's name is taken.
    """

    def register(build: _Builder) -> _Builder:
        name = build.__name__
        if name in _FAMILIES:
            raise ConfigError(f"backbone family {name!r} is registered already, by {_FAMILIES[name].build.__module__}")
        _FAMILIES[name] = _Family(build, depths, rule)
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
    known = list_backbones()
    parts = re.fullmatch(r"(.*?)([1-9][0-9]*)", name)
    family = _FAMILIES.get(parts[1]) if parts else None
    if parts is None or family is None or not (family.rule or name in known):
        raise ConfigError(f"unknown backbone {name!r}{did_you_mean(name, known)}")
    given = {key: value for key, value in options.items() if not (key in _NETWORKS_OWN and value == _NETWORKS_OWN[key])}
    return family.build(int(parts[2]), **given)


def backbone_spec(name: str, **options: Any) -> BackboneSpec:
    """The shape of the network that ``create_backbone`` would build, without its numbers; raises as that does."""
    import torch

    with torch.device("meta"):
        return create_backbone(name, **options).spec


def list_backbones() -> list[str]:
    """The names of the networks that papers report, in the order of their registration."""
    return [f"{name}{depth}" for name, family in _families().items() for depth in family.depths]


def family_rules() -> dict[str, str]:
    """The families with more depths than those listed: name to rule, ``{"cifar_resnet": "6n + 2", …}``."""
    return {name: family.rule for name, family in _families().items() if family.rule}


def _families() -> dict[str, _Family]:
    for module in _MODULES:
        importlib.import_module(module)
    return _FAMILIES
