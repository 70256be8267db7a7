"""The networks that timm has too: its state dicts are ours, and so are its results, ResNet-D's among them."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA
from side_by_side import assert_same_training

from resdet.models.backbones.registry import create_backbone, list_backbones

timm = pytest.importorskip("timm")


@pytest.mark.parametrize("name", [name for name in list_backbones() if not name.startswith(("plain", "preact", "cifar"))])
def test_state_dicts_have_the_same_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = create_backbone(name).state_dict(), timm.create_model(name).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}


@pytest.mark.parametrize(
    "name",
    ["resnet18d", "resnet50d", "resnext50_32x4d", pytest.param("resnet101d", marks=pytest.mark.slow)],
)
def test_training_steps_are_the_same(name: str) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(name, num_classes=7, zero_init_last=False)
    assert_same_training(create_backbone(name, num_classes=7), theirs, torch.float64, ALGEBRA)
