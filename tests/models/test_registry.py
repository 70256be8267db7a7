"""The backbone registry."""

from __future__ import annotations

import re

import pytest
import torch

from resdet.errors import ConfigError
from resdet.models.registry import create_backbone, family_rules, list_backbones, register_family


def test_lists_the_networks_of_the_papers() -> None:
    depths = {
        "resnet": (18, 34, 50, 101, 152),
        "plain": (18, 34),
        "preact_resnet": (18, 34, 50, 101, 152),
        "cifar_resnet": (20, 32, 44, 56, 110, 1202),
        "cifar_plain": (20, 32, 44, 56, 110),
        "cifar_preact_resnet": (20, 32, 44, 56, 110, 164, 1001),
    }
    assert list_backbones() == [f"{family}{depth}" for family, listed in depths.items() for depth in listed]


@pytest.mark.parametrize("name", list_backbones())
def test_every_listed_network_builds(name: str) -> None:
    with torch.device("meta"):
        network = create_backbone(name, stride_in_1x1=True, num_classes=3, in_channels=1)
    assert network.spec.name == name
    assert network.spec.preactivation == ("preact" in name)
    assert (network.spec.shortcut == "none") == ("plain" in name)
    # projections are no layers of their own
    depth = 2 + sum(block.depth for block in network.blocks())
    assert name.endswith((f"resnet{depth}", f"plain{depth}"))
    assert network.conv1.in_channels == 1
    assert network.fc.out_features == 3


def test_families_of_any_depth() -> None:
    assert set(family_rules()) == {"cifar_resnet", "cifar_plain", "cifar_preact_resnet", "cifar_preact_bottleneck"}
    assert create_backbone("cifar_resnet26").spec.layers == (4, 4, 4)
    assert create_backbone("cifar_preact_bottleneck29").spec.layers == (3, 3, 3)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet5O", " (did you mean 'resnet50'?)"),
        ("resnet19", " (did you mean 'resnet18'?)"),
        ("plain50", " (did you mean 'plain"),
        ("resnet", " (did you mean 'resnet"),
        ("cifar_resnet", " (did you mean 'cifar_resnet"),
        ("cifar_resent20", " (did you mean 'cifar_resnet20'?)"),
        ("cifar_resnet020", " (did you mean 'cifar_resnet"),
        ("cifar_resnet-4", " (did you mean 'cifar_resnet"),
        ("50", " (known: "),
        ("", " (known: "),
        ("Δ²", " (known: "),
    ],
)
def test_unknown_name_says_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"unknown backbone {name!r}{meant}")):
        create_backbone(name)


def test_a_family_is_registered_once() -> None:
    def resnet(depth: int) -> None: ...

    with pytest.raises(ConfigError, match=r"family 'resnet' is registered already, by resdet\.models\.backbones\.resnet"):
        register_family(18)(resnet)  # type: ignore[type-var]
    assert "resnet50" in list_backbones()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortcut": "D"}, "'shortcut' must be one of A, B, C, none"),
        ({"width": -4}, "'width' must be at least 1, got -4"),
        ({"num_classes": -1}, "'num_classes' must be at least 1, got -1"),
        ({"in_channels": 0}, "'in_channels' must be at least 1, got 0"),
        ({"shortcut": "none", "zero_init_last": True}, "'zero_init_last' needs shortcuts"),
    ],
)
def test_options_out_of_range_name_themselves(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_backbone("resnet18", **options)


@pytest.mark.parametrize(
    ("name", "width", "shortcut"),
    [
        ("resnet18", 64, "B"),
        ("plain34", 64, "none"),
        ("cifar_resnet20", 16, "A"),
        ("cifar_plain20", 16, "none"),
        ("preact_resnet18", 64, "B"),
        ("cifar_preact_resnet20", 16, "A"),
        ("cifar_preact_resnet164", 16, "B"),
        ("cifar_preact_bottleneck11", 16, "B"),
    ],
)
def test_auto_is_the_networks_own(name: str, width: int, shortcut: str) -> None:
    with torch.device("meta"):
        spec = create_backbone(name, width=0, shortcut="auto").spec
    assert (spec.width, spec.shortcut) == (width, shortcut)


def test_zero_init_needs_a_norm_at_the_end_of_the_branch() -> None:
    with pytest.raises(ConfigError, match="preact_resnet18: 'zero_init_last' needs a BN that ends each branch"):
        create_backbone("preact_resnet18", zero_init_last=True)


def test_all_problems_of_a_network_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        create_backbone("resnet18", width=-1, shortcut="x", num_classes=0)
    assert len(caught.value.problems) == 3
