"""The backbone registry."""

from __future__ import annotations

import pytest
import torch

from resdet.errors import ConfigError
from resdet.models.registry import create_backbone, list_backbones, register_backbone


def test_lists_the_networks_of_the_paper() -> None:
    assert list_backbones()[:7] == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "plain18", "plain34"]
    assert [name for name in list_backbones() if name.startswith("cifar_resnet")] == [
        f"cifar_resnet{depth}" for depth in (20, 32, 44, 56, 110)
    ]


def test_unknown_name_says_what_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"unknown backbone 'resnet5O' \(did you mean 'resnet50'\?\)"):
        create_backbone("resnet5O")


def test_a_name_is_registered_once() -> None:
    def resnet18() -> None: ...

    with pytest.raises(ConfigError, match="'resnet18' is registered already"):
        register_backbone(resnet18)  # type: ignore[type-var]


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
    ("name", "width", "shortcut"), [("resnet18", 64, "B"), ("plain34", 64, "none"), ("cifar_resnet20", 16, "A")]
)
def test_auto_is_the_networks_own(name: str, width: int, shortcut: str) -> None:
    with torch.device("meta"):
        spec = create_backbone(name, width=0, shortcut="auto").spec
    assert (spec.width, spec.shortcut) == (width, shortcut)


def test_all_problems_of_a_network_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        create_backbone("resnet18", width=-1, shortcut="x", num_classes=0)
    assert len(caught.value.problems) == 3
