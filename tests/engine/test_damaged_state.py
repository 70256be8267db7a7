"""A training state that the disk has damaged is told, and the one before it is offered."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resdet.engine.checkpoint import Checkpointer, load_state, previous_state, save_state
from resdet.engine.optimizer import build_sgd
from resdet.errors import DataError, ResdetError


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = build_sgd(model, 0.1, 0.9, 1e-4)
    model(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    return model, optimizer


EXTRA = {"best_score": 0.25, "log_window": {"loss": [1.5, float("nan")]}, "note": "ü", "images": torch.arange(3), "none": []}


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def everything(path: Path) -> str:
    """All that a state gives back, as text; or what is told of it."""
    model, optimizer = trained()
    for parameter in model.parameters():
        parameter.data.zero_()
    try:
        iteration, extra = load_state(path, model, optimizer)
    except ResdetError as error:
        return f"error: {error}"
    momenta = [state["momentum_buffer"].numpy().tobytes() for state in optimizer.state.values()]
    weights = [tensor.numpy().tobytes() for tensor in model.state_dict().values()]
    return repr((iteration, extra, momenta, weights))


def test_a_flipped_bit_of_a_state_is_told_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, *trained(), 3, EXTRA)
    good, expected = path.read_bytes(), everything(path)
    assert not expected.startswith("error")
    told = 0
    for bit in random.Random(0).sample(range(8 * len(good)), 400):
        flip(path, bit)
        found = everything(path)
        assert found == expected or found.startswith(f"error: {path}: ")
        told += found != expected
        path.write_bytes(good)
    assert told > 30  # most of a small file of torch is padding between its parts


def changed(path: Path, **values: Any) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({**state, **values}, path)


def test_a_changed_tensor_is_told_with_its_name_and_a_changed_value_without(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    model, optimizer = trained()
    save_state(path, model, optimizer, 3, EXTRA)
    state = torch.load(path, weights_only=True)
    state["model"]["1.running_var"][2] += 1
    state["optimizer"]["state"][1]["momentum_buffer"][0] = 0.5
    changed(path, model=state["model"], optimizer=state["optimizer"])
    with pytest.raises(DataError) as caught:
        load_state(path, model, optimizer)
    damaged = [problem.removeprefix(f"{path}: ").partition(" is damaged")[0] for problem in caught.value.problems]
    assert damaged == ["tensor 'model/1.running_var'", "tensor 'optimizer/state/1/momentum_buffer'"]
    save_state(path, model, optimizer, 3, EXTRA)
    changed(path, iteration=4)
    with pytest.raises(DataError, match=r"state\.pt: its numbers and names differ from what was written"):
        load_state(path, model, optimizer)
    changed(path, model=3)
    with pytest.raises(DataError, match="not a whole training state: it lacks model, or has something else there"):
        load_state(path, model, optimizer)
    save_state(path, model, optimizer, 3, EXTRA)
    changed(path, checksums="none")
    with pytest.raises(DataError, match="its checksums are damaged"):
        load_state(path, model, optimizer)


def test_a_state_without_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, *trained(), 3, EXTRA)
    before = everything(path)
    state = torch.load(path, weights_only=True)
    del state["checksums"]
    torch.save(state, path)
    assert everything(path) == before


def test_the_state_before_is_kept_and_offered_where_it_is_good(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    checkpoint = Checkpointer(path, *trained())
    checkpoint.save(1)
    assert not previous_state(path).exists()
    checkpoint.save(2)
    checkpoint.save(3)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["state.previous.pt", "state.pt"]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as caught:
        checkpoint.load()
    offered = f"{previous_state(path)} holds the state of iteration 2: to continue from it, rename it to state.pt"
    assert caught.value.problems[1:] == (offered,)
    previous_state(path).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        checkpoint.load()
    assert len(caught.value.problems) == 1
    checkpoint.save(3)  # nothing: the file holds it, as far as this process knows
    checkpoint.save(4)
    previous_state(path).replace(path)
    with pytest.raises(DataError):
        checkpoint.load()


def test_two_names_of_one_file_leave_no_third(tmp_path: Path) -> None:
    """As after an end between the two renames of a save."""
    path = tmp_path / "state.pt"
    checkpoint = Checkpointer(path, *trained())
    checkpoint.save(1)
    os.link(path, previous_state(path))
    checkpoint.save(2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["state.previous.pt", "state.pt"]
    assert [load_state(each, *trained())[0] for each in (previous_state(path), path)] == [1, 2]


@pytest.mark.parametrize(("number", "kept"), [(1, True), (28, False)], ids=["no second names", "no space"])
def test_file_systems_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kept: bool) -> None:
    path = tmp_path / "state.pt"
    checkpoint = Checkpointer(path, *trained())
    checkpoint.save(1)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    if kept:
        checkpoint.save(2)
        assert [load_state(each, *trained())[0] for each in (previous_state(path), path)] == [1, 2]
        return
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(2)
    assert [each.name for each in tmp_path.iterdir()] == ["state.pt"]
    assert load_state(path, *trained())[0] == 1
