"""Damage of model files is told, whichever bit it is, and so are numbers that nothing can be computed with."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from resdet.errors import ConfigError, DataError, ResdetError
from resdet.models.backbones.weights.read import read_weights
from resdet.models.intact import all_finite, checksum, damage, unusable
from resdet.models.model_file import ModelCard, load_tensors, read_card, read_model, write_model

CARD = ModelCard("detection", {"backbone": {"name": "resnet18"}}, ["cat", "dog"], {"range": 1.0}, {"short_side": 600})


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(2, 3, 3, 3, generator=generator),
        "bn.running_var": torch.rand(4, generator=generator),
        "half": torch.randn(3, generator=generator).half(),
        "brain": torch.randn(3, generator=generator).bfloat16(),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
    }


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.safetensors", _state(), CARD)
    return tmp_path / "model.safetensors"


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def outcome(path: Path) -> str | ModelCard:
    """What is told of a file; its card where its tensors are those that were written."""
    try:
        state, card = read_model(path)
    except ResdetError as error:
        return str(error)
    return card if same(state, _state()) else replace(card, task="other tensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(checksum(one[name]) == checksum(other[name]) for name in one)


def test_a_flipped_bit_of_a_model_file_is_told_or_changes_nothing(written: Path) -> None:
    good = written.read_bytes()
    told = 0
    for bit in random.Random(0).sample(range(8 * len(good)), 400):
        flip(written, bit)
        found = outcome(written)
        told += isinstance(found, str)
        assert found.startswith(str(written)) if isinstance(found, str) else found == CARD
        written.write_bytes(good)
    assert told > 350


@pytest.mark.parametrize("read", [read_model, read_weights])
def test_a_flipped_bit_is_told_with_the_name_of_its_tensor(written: Path, read: Callable[[Path], object]) -> None:
    header = 8 + int.from_bytes(written.read_bytes()[:8], "little")
    with safe_open(written, framework="pt") as file:
        first = list(file.keys())
    flip(written, 8 * (header + 1))
    with pytest.raises(
        DataError, match=r"model\.safetensors: tensor '(.+)' is damaged: its checksum is \w{8}, it was"
    ) as caught:
        read(written)
    assert sum(name in str(caught.value) for name in first) == 1
    read_card(written)  # whose card is as it was


def test_a_card_that_was_changed_is_told(written: Path) -> None:
    content = written.read_bytes()
    written.write_bytes(content.replace(b"cat", b"cut"))
    for read in (read_model, read_card):
        with pytest.raises(DataError, match="its model card differs from what was written"):
            read(written)


def test_missing_and_added_tensors_are_told(written: Path) -> None:
    with safe_open(written, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(written)
    state["more"] = state.pop("count")
    save_file(state, written, metadata)
    with pytest.raises(DataError) as caught:
        read_model(written)
    assert [problem.split(": ")[1].split(";")[0] for problem in caught.value.problems] == [
        "tensor 'count' was written and is not there",
        "tensor 'more' was not written with the others",
    ]


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    path = tmp_path / "older.safetensors"
    save_file(_state(), path, {"resdet": json.dumps(asdict(CARD))})
    state, card = read_model(path)
    assert card == CARD
    assert same(state, _state())


@pytest.mark.parametrize("sums", [[], {"card": "00000000"}, {"card": 1, "tensors": []}])
def test_checksums_of_another_kind_are_told(tmp_path: Path, sums: object) -> None:
    path = tmp_path / "model.safetensors"
    save_file(_state(), path, {"resdet": json.dumps({**asdict(CARD), "checksums": sums})})
    with pytest.raises(DataError, match="its checksums cannot be read"):
        read_model(path)


def test_the_same_model_makes_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "again.safetensors", _state(), CARD)
    assert (tmp_path / "again.safetensors").read_bytes() == written.read_bytes()


def test_a_checksum_tells_type_shape_and_sign() -> None:
    zero = torch.zeros(2, 3)
    others = [torch.zeros(3, 2), torch.zeros(2, 3, dtype=torch.int32), -zero, torch.zeros(6)]
    assert len({checksum(each) for each in (zero, *others)}) == 5
    turned = torch.arange(6.0).reshape(3, 2).T
    assert checksum(turned) == checksum(turned.contiguous())  # not of how it lies in memory


def test_of_much_damage_the_first_is_told() -> None:
    tensors = {str(number): torch.tensor(float(number)) for number in range(9)}
    lines = damage(tensors, dict.fromkeys(tensors, "00000000"))
    assert len(lines) == 6
    assert lines[-1] == "and so are 4 more tensors"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("0.weight", float("nan"), "tensor '0.weight' holds NaN or infinity"),
        ("0.weight", -float("inf"), "tensor '0.weight' holds NaN or infinity"),
        ("1.running_var", -0.5, "tensor '1.running_var' holds a variance below 0: -0.5"),
        ("1.running_mean", -0.5, ""),
        ("1.running_var", 0.0, ""),
    ],
)
def test_nan_and_negative_variances_are_told_when_a_network_is_filled(name: str, value: float, told: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state[name].view(-1)[2] = value
    if not told:
        load_tensors(model, "m.safetensors", state)
        return
    with pytest.raises(DataError) as caught:
        load_tensors(model, "m.safetensors", state)
    assert caught.value.problems == (f"m.safetensors: {told}",)


def test_numbers_whose_sum_overflows_are_finite() -> None:
    greatest = torch.full((3,), torch.finfo(torch.float32).max)
    assert greatest.sum().isinf()
    assert all_finite(greatest)
    assert unusable({"a": greatest, "b": torch.tensor([1]), "c": torch.zeros(0)}) == []
    assert not all_finite(torch.tensor([float("inf"), -float("inf")]))


def test_tensors_that_do_not_fit_are_told_as_before() -> None:
    with pytest.raises(ConfigError, match="its tensors do not fit its card"):
        load_tensors(torch.nn.Linear(2, 2), "m.safetensors", {"weight": torch.zeros(2, 2)})
