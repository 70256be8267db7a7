from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from resdet.engine import checkpoint as module
from resdet.engine.checkpoint import Checkpointer, first_not_finite, load_state, save_state
from resdet.engine.optimizer import build_sgd
from resdet.errors import ConfigError, DataError, TrainingError


def trained(width: int = 4, frozen: bool = False) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))
    model[0].requires_grad_(not frozen)
    optimizer = build_sgd(model, 0.1, 0.9, 1e-4)
    model(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def test_round_trip(tmp_path: Path) -> None:
    model, optimizer = trained()
    extra = {"best_score": 0.25, "log_window": {"loss": [1.5, 2.0]}, "note": "x", "tensor": torch.arange(3)}
    save_state(tmp_path / "state.pt", model, optimizer, 17, extra)
    other, other_optimizer = trained()
    iteration, found = load_state(tmp_path / "state.pt", other, other_optimizer)
    assert iteration == 17
    assert found.pop("tensor").tolist() == extra.pop("tensor").tolist()
    assert found == extra
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    momenta = [[state["momentum_buffer"] for state in each.state.values()] for each in (optimizer, other_optimizer)]
    assert len(momenta[0]) == 4
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*momenta, strict=True))


def test_the_states_of_other_parts_go_with_it(tmp_path: Path) -> None:
    path, (model, optimizer) = tmp_path / "state.pt", trained()
    parts = {"average": nn.Linear(2, 1), "other": nn.Linear(1, 1)}
    Checkpointer(path, model, optimizer, parts).save(3)
    again = {name: nn.Linear(part.in_features, 1) for name, part in parts.items()}
    assert Checkpointer(path, model, optimizer, again).load() == 3
    for name, part in parts.items():
        assert torch.equal(again[name].weight, part.weight)
    with pytest.raises(ConfigError, match=r"state\.pt is of another model: it lacks the state of the scale"):
        Checkpointer(path, model, optimizer, {"scale": nn.Linear(1, 1)}).load()


def test_write_that_fails_half_way_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer = trained()
    path = tmp_path / "state.pt"
    save_state(path, model, optimizer, 1)

    def half(state: Any, temporary: Path) -> None:
        temporary.write_bytes(path.read_bytes()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        save_state(path, model, optimizer, 2)
    assert load_state(path, model, optimizer) == (1, {})
    assert [each.name for each in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -200])
def test_damaged_file(tmp_path: Path, keep: int) -> None:
    model, optimizer = trained()
    path = tmp_path / "state.pt"
    save_state(path, model, optimizer, 1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"state\.pt: not a"):
        load_state(path, model, optimizer)


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("payload_was_run"),)


@pytest.mark.parametrize("content", [{"iteration": 1}, [1, 2], Payload(), {"format": Payload()}])
def test_foreign_files_are_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "state.pt"
    for write in (lambda: torch.save(content, path), lambda: path.write_bytes(pickle.dumps(content, protocol=2))):
        write()
        with pytest.raises(DataError, match=r"state\.pt: not a"):
            load_state(path, *trained())
        assert not (tmp_path / "payload_was_run").exists()


def test_state_of_another_model_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, *trained(width=5), 1)
    model, optimizer = trained(width=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError, match=r"'0\.weight' has shape \(5, 3\), the model's \(4, 3\)") as caught:
        load_state(path, model, optimizer)
    assert len(caught.value.problems) == 10  # six tensors and four momenta
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    plain = nn.Sequential(nn.Linear(3, 5))
    with pytest.raises(ConfigError, match=r"the model has no '1\.weight'"):
        load_state(path, plain, build_sgd(plain, 0.1, 0.9, 0))
    with pytest.raises(ConfigError, match="it trains 4 parameters, the optimizer 2"):
        load_state(path, *trained(width=5, frozen=True))


def test_long_lists_of_differences_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    deep = nn.Sequential(*(nn.Linear(3, 3) for _ in range(8)))
    save_state(path, deep, build_sgd(deep, 0.1, 0.9, 0), 1)
    with pytest.raises(ConfigError) as caught:
        load_state(path, *trained())
    assert len(caught.value.problems) == 11
    # 7 tensors of the model are lacking or of another shape, 12 of the file are unknown to it, and the optimizers differ
    assert caught.value.problems[-1] == f"{path}: … and {7 + 12 + 1 - 10} more"


def test_a_model_without_floating_numbers_is_finite() -> None:
    assert first_not_finite(nn.ReLU()) == ""


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_state(tmp_path / "state.pt", *trained())
    assert Checkpointer(tmp_path / "state.pt", *trained()).load() == 0


def test_values_that_could_not_be_read_back_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"extra\['scores'\]\[1\] must be a plain value or tensor, got float64"):
        save_state(tmp_path / "state.pt", *trained(), 1, {"scores": [1.0, np.float64(2)]})
    assert not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_do_not_replace_the_checkpoint(tmp_path: Path, value: float) -> None:
    model, optimizer = trained()
    checkpoint = Checkpointer(tmp_path / "state.pt", model, optimizer)
    checkpoint.save(1)
    model[1].running_var[2] = value
    with pytest.raises(TrainingError, match=r"iteration 2: '1\.running_var' of the model is not finite"):
        checkpoint.save(2)
    assert checkpoint.load() == 1
