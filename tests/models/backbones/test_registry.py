"""The backbone registry."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone, family_rules, list_backbones, register_family


def test_lists_the_networks_of_the_papers() -> None:
    depths = {
        "resnet{}": (18, 34, 50, 101, 152),
        "plain{}": (18, 34),
        "preact_resnet{}": (18, 34, 50, 101, 152),
        "resnext{}_32x4d": (50,),
        "resnext{}_32x8d": (101,),
        "wide_resnet{}_2": (50, 101),
        "resnet{}d": (18, 34, 50, 101, 152),
        "cifar_resnet{}": (20, 32, 44, 56, 110, 1202),
        "cifar_plain{}": (20, 32, 44, 56, 110),
        "cifar_preact_resnet{}": (20, 32, 44, 56, 110, 164, 1001),
    }
    assert list_backbones() == [family.format(depth) for family, listed in depths.items() for depth in listed]


@pytest.mark.parametrize("name", list_backbones())
def test_every_listed_network_builds(name: str) -> None:
    with torch.device("meta"):
        network = create_backbone(name, stride_in_1x1=True, num_classes=3, in_channels=1)
    assert network.spec.name == name
    assert network.spec.preactivation == ("preact" in name)
    assert (network.spec.shortcut == "none") == ("plain" in name)
    # projections are no layers of their own, and a deep stem takes the place of one convolution
    depth = 2 + sum(len(block.layers) for block in network.blocks())
    assert re.fullmatch(rf"(cifar_|preact_|wide_)*(resnet|resnext|plain){depth}(d|_2|_32x[48]d)?", name)
    assert next(network.parameters()).shape[1] == 1
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


def test_a_network_is_registered_once() -> None:
    def again(depth: int) -> None: ...

    with pytest.raises(ConfigError, match="backbone 'resnet18' is registered already"):
        register_family("resnet{}", 18, 19)(again)  # type: ignore[type-var]
    assert "resnet18" in list_backbones()
    assert "resnet19" not in list_backbones()


def test_each_module_is_imported_alone() -> None:
    """The registry does not need the networks, and whichever is imported first, all are registered."""
    for module in ("resdet.models.backbones.registry", "resdet.models.backbones.cifar", "resdet.models.backbones.resnet"):
        text = f"import {module}; from resdet.models.backbones.registry import list_backbones; print(*list_backbones())"
        listed = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
        assert listed == list_backbones()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortcut": "D"}, "'shortcut' must be one of A, B, C, none"),
        ({"width": -4}, "'width' must be at least 1, got -4"),
        ({"num_classes": -1}, "'num_classes' must be at least 1, got -1"),
        ({"in_channels": 0}, "'in_channels' must be at least 1, got 0"),
        ({"shortcut": "none", "zero_init_last": True}, "'zero_init_last' needs shortcuts"),
        ({"groups": 2}, "'groups' and 'base_width' are a bottleneck's, a basic block has neither"),
        ({"averaged_shortcut": True, "shortcut": "A"}, "'shortcut' must be B or C for projections that average, got 'A'"),
        ({"stem": "deep", "width": 5}, "'width' must be even for the deep stem, got 5"),
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


def test_a_group_has_whole_channels() -> None:
    message = r"resnext50_32x4d: 'width' times 'base_width' must be a multiple of 64, .*, got 24 times 4"
    with pytest.raises(ConfigError, match=message):
        create_backbone("resnext50_32x4d", width=24)
    assert create_backbone("resnext50_32x4d", width=16).layer2[0].conv2.weight.shape == (64, 2, 3, 3)


def test_all_problems_of_a_network_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        create_backbone("resnet18", width=-1, shortcut="x", num_classes=0)
    assert len(caught.value.problems) == 3
