"""Files whose tensors have shapes and types that no network has: a DataError each, and never a traceback."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor
from zoo_state import zoo_state

from resdet.cli import main
from resdet.errors import ConfigError, DataError
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.convert import convert_weights
from resdet.models.detection.anchors import cell_anchors

State = dict[str, Tensor]


def resnet() -> State:
    torch.manual_seed(0)
    return dict(torchvision.models.resnet18(width_per_group=64, num_classes=3).state_dict())


def caffe() -> State:
    """The first block of a ResNet-50 in Caffe2's names, with a bias before a BN."""
    sizes = {"conv1": (4, 3, 7, 7), "res2_0_branch2a": (4, 4, 1, 1), "res2_0_branch2b": (4, 4, 3, 3)}
    sizes |= {"res2_0_branch2c": (16, 4, 1, 1), "res2_0_branch1": (16, 4, 1, 1)}
    state = {f"{name}_w": torch.randn(size) for name, size in sizes.items()}
    for name, size in sizes.items():
        norm = "res_conv1_bn" if name == "conv1" else f"{name}_bn"
        state |= {f"{norm}_s": torch.ones(size[0]), f"{norm}_b": torch.zeros(size[0])}
    return {**state, "conv1_b": torch.zeros(4)}


def detector() -> State:
    pixels = {"pixel_mean": torch.tensor([103.53, 116.28, 123.675]), "pixel_std": torch.ones(3)}
    anchors = {"proposal_generator.anchor_generator.cell_anchors.0": cell_anchors([32, 64, 128, 256, 512], [0.5, 1, 2])}
    return {**zoo_state(width=1, classes=20), **pixels, **anchors}


STATES = {"torchvision": resnet, "caffe2": caffe, "detectron2": detector}
ODD = {
    "no dimension": torch.tensor(1.0),
    "no element": torch.zeros(0, 3, 7, 7),
    "whole numbers": torch.ones(4, dtype=torch.int64),
    "truths": torch.ones(4, dtype=torch.bool),
    "one number": torch.ones(1),
    "five dimensions": torch.ones(1, 1, 1, 1, 1),
}


def some_keys(state: State) -> list[str]:
    """The ends and some of the middle, with the first block."""
    keys = list(state)
    first = [key for key in keys if re.search(r"(layer1|res2)[._]0[._](conv|branch)[12]\D?[._]w", key)]
    return list(dict.fromkeys([*keys[:7], *first, *keys[7::17], *keys[-12:]]))


def refused(state: State) -> Exception | None:
    try:
        conversion = convert_weights(WeightsFile(Path("weights.pkl"), state, None))
    except (ConfigError, DataError) as error:
        return error
    assert conversion.task
    return None


@pytest.mark.parametrize("scheme", ["torchvision", "detectron2"])
def test_without_a_change_nothing_is_refused(scheme: str) -> None:
    assert refused(STATES[scheme]()) is None


@pytest.mark.parametrize("scheme", STATES)
@pytest.mark.parametrize("kind", ODD)
def test_no_tensor_of_any_kind_ends_in_a_traceback(scheme: str, kind: str) -> None:
    state = STATES[scheme]()
    parameters = 0
    for key in some_keys(state):
        error = refused({**state, key: ODD[kind]})
        if kind in ("no dimension", "no element", "whole numbers", "truths") and not key.endswith("num_batches_tracked"):
            assert error is not None, key
            assert "weights.pkl" in str(error)
            parameters += "must hold floating numbers" in str(error)
    assert parameters > 10 or kind in ("one number", "five dimensions")


@pytest.mark.parametrize("scheme", STATES)
def test_tensors_that_change_places(scheme: str) -> None:
    state = STATES[scheme]()
    rng = random.Random(0)
    for _ in range(15):
        keys = rng.sample(list(state), 4)
        values = [state[key] for key in keys]
        refused({**state, **dict(zip(keys, values[1:] + values[:1], strict=True))})


@pytest.mark.parametrize(
    ("scheme", "changes", "message"),
    [
        (
            "torchvision",
            {"conv1.weight": torch.tensor(1.0), "fc.weight": torch.ones(3, 512, dtype=torch.int64)},
            r"conv1\.weight must hold floating numbers, .*, got torch\.float32 of shape \(\)\n.*fc\.weight must .*int64",
        ),
        ("caffe2", {"conv1_b": torch.zeros(5)}, r"conv1\.bias of shape \(5,\) does not fit bn1, \(4,\)"),
        ("detectron2", {"pixel_mean": torch.zeros(2)}, "pixel_mean and pixel_std must be 3 numbers each, got 2 and 3"),
        ("detectron2", {"pixel_std": torch.tensor(1.0)}, "pixel_mean and pixel_std must be 3 numbers each, got 3 and 1"),
    ],
)
def test_what_is_said(scheme: str, changes: State, message: str) -> None:
    with pytest.raises(DataError, match=message):
        convert_weights(WeightsFile(Path("weights.pkl"), {**STATES[scheme](), **changes}, None))


def test_pixels_in_whole_numbers_are_compared_too() -> None:
    state = {**detector(), "pixel_mean": torch.tensor([1, 2, 3]), "pixel_std": torch.tensor([1, 1, 1])}
    with pytest.raises(ConfigError, match="are not known: give --pixels"):
        convert_weights(WeightsFile(Path("weights.pkl"), state, None))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({**resnet(), "layer1.0.conv1.weight": torch.tensor(1.0)}, tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]) == 3
    assert "layer1.0.conv1.weight must hold floating numbers" in capsys.readouterr().err
