"""A weights file of another toolkit becomes a model file, or is refused with all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.convert.convert_file import Converted, convert_file
from resdet.models.model_file import read_card


@pytest.fixture
def state() -> dict[str, Tensor]:
    """The tensors of a narrow ResNet-18 of five classes."""
    torch.manual_seed(1)
    return create_backbone("resnet18", num_classes=5, width=8).state_dict()


def _convert(folder: Path, state: dict[str, Tensor], names: str | None = None) -> Converted:
    torch.save(state, folder / "a.pth")
    return convert_file(folder / "a.pth", folder / "a.safetensors", names=names and folder / names)


def test_what_is_assumed_is_warned_of_and_written(tmp_path: Path, state: dict[str, Tensor]) -> None:
    with pytest.warns(
        UserWarning, match=r"a\.pth: neither BN statistics nor its name .* Assumed, .*: pixels RGB 0 … 1, .*--pixels"
    ):
        converted = _convert(tmp_path, state)
    assert converted.card == read_card(tmp_path / "a.safetensors")
    assert converted.facts() == {
        "names of": "torchvision",
        "task": "classification",
        "backbone": "resnet18, width 8",
        "pixels": converted.conversion.pixels.describe(),
        "test": "short_side 256, crop 224",
        "classes": "5: 0, 1, 2, …",
    }


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    changed = {**state, "layer3.1.conv2.weight": torch.zeros(7, 32, 3, 3), "extra": torch.zeros(2)}
    with pytest.raises(ConfigError) as caught:
        _convert(tmp_path, changed)
    (error,) = caught.value.problems
    assert "a.pth: is no resnet18 as resdet has it" in error
    assert "backbone.layer3.1.conv2.weight (7, 32, 3, 3), wanted (32, 32, 3, 3)" in error
    assert "1 unexpected (backbone.extra)" in error
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (None, ["--names: no such file"]),
        (b"cat\n", ["must hold the 5 classes of the weights, got 1"]),
        (b"a\nb\na\nc\nb\n", ["holds twice: a, b"]),
        (b"a\na\n", ["holds twice: a", "must hold the 5 classes of the weights, got 2"]),
        ("a\nb\na\n".encode("utf-16"), ["holds twice: a", "must hold the 5 classes of the weights, got 3"]),
        (b"\xff\xff", ["is not text"]),
    ],
)
def test_names_that_do_not_fit(tmp_path: Path, state: dict[str, Tensor], content: bytes | None, problems: list[str]) -> None:
    if content is not None:
        (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        _convert(tmp_path, state, "names.txt")
    assert len(caught.value.problems) == len(problems)
    assert all(problem in found for problem, found in zip(problems, caught.value.problems, strict=True))


def test_a_source_that_is_missing_and_a_destination_that_is_wrong_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        convert_file(tmp_path / "gone.pth", tmp_path / "model.bin")
    assert caught.value.problems == (
        f"{tmp_path}/gone.pth: no such file",
        f"{tmp_path}/model.bin: must end in .safetensors",
        f"{tmp_path}/model.bin: exists already",
    )
