"""The backbone registry: a name, and the function that builds the network."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from resdet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from resdet.models.backbones.resnet import ResNet

_Builder = TypeVar("_Builder", bound="Callable[..., ResNet]")
_BACKBONES: dict[str, Callable[..., ResNet]] = {}
_NETWORKS_OWN: dict[str, Any] = {"width": 0, "shortcut": "auto"}
# these modules register the networks that come with resdet when they are imported
_MODULES = ("resdet.models.backbones.resnet", "resdet.models.backbones.cifar")


def register_backbone(build: _Builder) -> _Builder:
    """Decorator: make ``build`` known under its function name.

    Raises:
        ConfigError: when the name is taken.
    """
    name = build.__name__
    if name in _BACKBONES:
        raise ConfigError(f"backbone {name!r} is registered already, by {_BACKBONES[name].__module__}")
    _BACKBONES[name] = build
    return build


def create_backbone(name: str, **options: Any) -> ResNet:
    """Build the network ``name``, randomly initialized.

    Args:
        name: one of ``list_backbones()``.
        options: keyword arguments of ``resdet.models.backbones.resnet.build_resnet``: num_classes, norm, stride_in_1x1,
            shortcut, width, zero_init_last, in_channels. ``width=0`` and ``shortcut="auto"`` mean the network's own: 64 and B,
            16 and A for CIFAR's, none for plain ones.

    Raises:
        ConfigError: unknown name, or an option out of range.
    """
    known = list_backbones()
    if name not in known:
        raise ConfigError(f"unknown backbone {name!r}{did_you_mean(name, known)}")
    given = {key: value for key, value in options.items() if not (key in _NETWORKS_OWN and value == _NETWORKS_OWN[key])}
    return _BACKBONES[name](**given)


def list_backbones() -> list[str]:
    """The registered names, in the order of their registration."""
    for module in _MODULES:
        importlib.import_module(module)
    return list(_BACKBONES)
