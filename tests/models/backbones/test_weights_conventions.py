"""Weights files of another pixel convention, stride or shortcut: told by the file's card or by its statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow_networks import load_into, narrow_network, narrow_state, with_statistics
from safetensors.torch import save_file
from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.weights.evidence import contradicts, expected_scale, input_scale, layers_with_statistics
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

TORCHVISION, MSRA = PIXEL_CONVENTIONS["torchvision"], PIXEL_CONVENTIONS["msra"]


def _card(path: Path, state: dict[str, Tensor], pixels: PixelConvention, **backbone: Any) -> Path:
    architecture = {"backbone": {"name": "resnet50", "width": 4, "shortcut": "B", "stride_in_1x1": False, **backbone}}
    card = {"task": "classification", "architecture": architecture, "names": ["a", "b", "c"], "pixels": pixels.to_dict()}
    save_file(state, path, {"resdet": json.dumps(card)})
    return path


def test_a_files_own_pixel_convention_is_taken_and_checked(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", narrow_state("resnet50"), MSRA)
    assert load_into(narrow_network("resnet50"), path).pixels == MSRA
    assert load_into(narrow_network("resnet50"), path, MSRA).pixels == MSRA
    with pytest.raises(ConfigError, match=r"pixel convention is msra, option 'model\.backbone\.pixels' asks for torchvision"):
        load_into(narrow_network("resnet50"), path, TORCHVISION)


def test_a_files_own_stride_and_shortcut_are_checked_together(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", narrow_state("resnet50"), MSRA, stride_in_1x1=True, shortcut="A")
    with pytest.raises(ConfigError) as caught:
        load_into(narrow_network("resnet50"), path, TORCHVISION)
    assert len(caught.value.problems) == 3
    assert "trained with stride_in_1x1=True, option 'model.backbone.stride_in_1x1' asks for False" in str(caught.value)
    assert "trained with shortcut=A, option 'model.backbone.shortcut' asks for B" in str(caught.value)


def test_a_basic_block_has_no_stride_to_disagree_on(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", narrow_state(), TORCHVISION, name="resnet18", stride_in_1x1=True)
    assert load_into(narrow_network(), path).misfits() == []


def test_plain_and_option_a_have_the_same_keys_and_are_told_apart(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", narrow_state(shortcut="A"), TORCHVISION, name="resnet18", shortcut="A")
    assert load_into(narrow_network(shortcut="A"), path).misfits() == []
    with pytest.raises(ConfigError, match=r"trained with shortcut=A, .* asks for none"):
        load_into(narrow_network("plain18"), path)


@pytest.mark.parametrize(("pixels", "stride"), [(TORCHVISION, False), (MSRA, True)])
def test_statistics_of_a_foreign_file_show_its_convention_and_stride(
    tmp_path: Path, pixels: PixelConvention, stride: bool
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(with_statistics(narrow_state("resnet50"), pixels), path)
    other = TORCHVISION if pixels is MSRA else MSRA
    name = "msra" if pixels is MSRA else "torchvision"
    right, wrong = (narrow_network("resnet50", stride_in_1x1=value) for value in (stride, not stride))
    assert load_into(right, path, pixels).pixels == pixels
    with pytest.raises(ConfigError, match=rf"set model\.backbone\.pixels={name}$"):
        load_into(right, path, other)
    with pytest.raises(ConfigError, match=rf"set model\.backbone\.stride_in_1x1={str(stride).lower()}$"):
        load_into(wrong, path, pixels)
    with pytest.raises(ConfigError) as caught:
        load_into(wrong, path, other)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("pixels", [TORCHVISION, MSRA], ids=["torchvision", "msra"])
@pytest.mark.parametrize("name", ["resnet50", "resnet50d"])
def test_estimated_input_scale_is_near_the_truth(name: str, pixels: PixelConvention) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        scale = input_scale(with_statistics(narrow_network(name, width=32).state_dict(), pixels))
        assert scale is not None
        assert 1 / 3 < scale / expected_scale(pixels) < 3
        assert [contradicts(scale, known) for known in (TORCHVISION, MSRA)] == [pixels is MSRA, pixels is TORCHVISION]


def test_no_statistics_are_no_evidence() -> None:
    state = narrow_state()
    assert input_scale(state) is None
    assert input_scale({}) is None
    assert input_scale({**state, "bn1.running_var": torch.ones(4) - 1e-5}) is None
    assert input_scale({**state, "bn1.running_var": torch.full((4,), 2.0)}) is not None
    assert input_scale({**state, "bn1.running_var": torch.zeros(4)}) is None


def test_which_layers_keep_statistics() -> None:
    """Mean 0 and variance 1 are none, and so is a variance of 1 less the epsilon; either alone is one."""
    ones, zeros = torch.ones(3), torch.zeros(3)
    statistics = {
        "bn1": (zeros, ones),
        "layer1.0.bn1": (torch.tensor([0.0, 0.5, 0]), ones),
        "layer1.0.bn2": (zeros, torch.tensor([1.0, 1, 2])),
        "layer2.0.bn1": (zeros, ones - 1e-5),
        "layer2.0.bn2": (ones, 2 * ones),
    }
    state = {"conv1.weight": torch.ones(3, 3, 7, 7)}
    for layer, (mean, variance) in statistics.items():
        state |= {f"{layer}.weight": ones, f"{layer}.running_mean": mean, f"{layer}.running_var": variance}
    assert layers_with_statistics(state) == ["layer1.0.bn1", "layer1.0.bn2", "layer2.0.bn2"]
    assert layers_with_statistics({}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"conv1.weight": torch.ones(4, 147)},
        {"conv1.weight": torch.ones(4, 3, 0, 7)},
        {"conv1.weight": torch.ones(0, 3, 7, 7), "bn1.running_var": torch.ones(0)},
        {"bn1.running_var": torch.full((5,), 2.0)},
        {"bn1.running_var": torch.full((1,), 2.0)},
        {"bn1.running_var": torch.full((4, 1), 2.0)},
    ],
    ids=lambda change: str({name: tuple(value.shape) for name, value in change.items()}),
)
def test_first_layers_of_odd_shapes_are_no_evidence(change: dict[str, Tensor]) -> None:
    assert input_scale({**narrow_state(), "bn1.running_var": torch.full((4,), 2.0), **change}) is None
