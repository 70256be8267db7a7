from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hook_parts import Lines, at
from torch import nn

from resdet.engine.checkpoint import Checkpointer
from resdet.engine.checkpoint_hooks import CheckpointHook, EvalHook
from resdet.engine.optimizer import build_sgd
from resdet.errors import TrainingError


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2))


@pytest.fixture
def checkpoint(model: nn.Module, tmp_path: Path) -> Checkpointer:
    return Checkpointer(tmp_path / "state.pt", model, build_sgd(model, 0.1, 0.9, 0))


def eval_hook(checkpoint: Checkpointer, scores: list[float], saved: list[str], lines: Lines, every: int = 2) -> EvalHook:
    remaining = iter(scores)
    return EvalHook(
        checkpoint.model,
        evaluate=lambda: {"AP": next(remaining)},
        score=lambda metrics: metrics["AP"],
        every=every,
        best=Path("best.safetensors"),
        save_model=lambda path: saved.append(path.name),
        checkpoint=checkpoint,
        writers=[lines],
    )


def test_best_is_the_highest_score(checkpoint: Checkpointer) -> None:
    saved: list[str] = []
    lines = Lines()
    hook = eval_hook(checkpoint, [math.nan, np.float64(0.2), 0.5, 0.5, 0.4], saved, lines)  # type: ignore[list-item]
    counts = []
    for iteration in range(1, 11):
        hook.after_step(at(iteration))
        counts.append(len(saved))
    assert counts == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert set(saved) == {"best.safetensors"}
    assert checkpoint.extra == {"best_score": 0.5, "evaluated": 10}
    assert [record["iteration"] for record in lines.records] == [2, 4, 6, 8, 10]
    assert lines.records[2] == {"iteration": 6, "eval": {"AP": 0.5}, "score": 0.5}
    checkpoint.save(10)  # also a score that came from NumPy can be saved


def test_best_score_survives_a_resume(checkpoint: Checkpointer) -> None:
    saved: list[str] = []
    eval_hook(checkpoint, [0.5], saved, Lines()).after_step(at(2))
    checkpoint.save(3)
    checkpoint.extra = {}
    assert checkpoint.load() == 3
    eval_hook(checkpoint, [0.4], saved, Lines()).after_step(at(4))
    assert len(saved) == 1


def test_state_is_saved_before_an_evaluation_that_fails(checkpoint: Checkpointer) -> None:
    hook = eval_hook(checkpoint, [], [], Lines())
    with pytest.raises(StopIteration):
        hook.after_step(at(2))
    assert checkpoint.load() == 2
    assert checkpoint.extra == {}


def test_evaluation_that_was_missed_is_made_up_for(checkpoint: Checkpointer) -> None:
    lines = Lines()
    hook = eval_hook(checkpoint, [0.1, 0.2], [], lines)
    hook.after_step(at(2, stopping=True))
    assert lines.records == []
    hook.before_train(at(2))
    hook.before_train(at(2))
    hook.before_train(at(3))
    hook.before_train(at(0))
    assert [record["iteration"] for record in lines.records] == [2]


def test_evaluation_leaves_modes_and_randomness_alone(checkpoint: Checkpointer) -> None:
    model = checkpoint.model
    model.train()
    model[2].eval()
    modes = []
    hook = eval_hook(checkpoint, [], [], Lines())

    def evaluate() -> dict[str, Any]:
        modes.append([module.training for module in model.modules()])
        torch.rand(5)
        np.random.rand()  # noqa: NPY002
        return {"AP": 0.0}

    hook.evaluate = evaluate
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = float(torch.rand(())), float(np.random.rand())  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    hook.after_step(at(2))
    assert (float(torch.rand(())), float(np.random.rand())) == expected  # noqa: NPY002
    assert modes == [[False] * 4]
    assert [module.training for module in model.modules()] == [True, True, True, False]


def test_checkpoints(checkpoint: Checkpointer) -> None:
    saved: list[tuple[int, str]] = []
    iteration = 0
    hook = CheckpointHook(checkpoint, lambda path: saved.append((iteration, path.name)), Path("model.safetensors"), every=4)
    for iteration in range(1, 11):
        hook.after_step(at(iteration))
    assert saved == [(4, "model.safetensors"), (8, "model.safetensors"), (10, "model.safetensors")]
    assert checkpoint.load() == 10


def test_resumed_run_writes_the_model_that_a_kill_left_old(checkpoint: Checkpointer) -> None:
    saved: list[Path] = []
    hook = CheckpointHook(checkpoint, saved.append, Path("model.safetensors"), every=4)
    hook.before_train(at(0))
    assert saved == []
    hook.before_train(at(10))
    assert saved == [Path("model.safetensors")]


def test_checkpoint_on_interrupt_once(checkpoint: Checkpointer) -> None:
    saved: list[Path] = []
    hook = CheckpointHook(checkpoint, saved.append, Path("model.safetensors"), every=4)
    hook.on_interrupt(at(3))
    assert checkpoint.load() == 3
    hook.after_step(at(4))
    hook.on_interrupt(at(4))
    assert len(saved) == 2


def test_a_shared_iteration_is_written_once(checkpoint: Checkpointer, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr("resdet.engine.checkpoint.save_state", lambda *parts: written.append(parts[3]))
    evaluation = eval_hook(checkpoint, [0.1] * 5, [], Lines(), every=2)
    hook = CheckpointHook(checkpoint, lambda path: None, Path("model.safetensors"), every=3)
    for iteration in range(1, 11):
        for each in (evaluation, hook):
            each.after_step(at(iteration))
    assert written == [2, 3, 4, 6, 8, 9, 10]


def test_a_failure_before_the_first_checkpoint_saves_the_state_before_the_step(checkpoint: Checkpointer) -> None:
    saved: list[dict[str, torch.Tensor]] = []
    model = checkpoint.model

    def save_model(_: Path) -> None:
        saved.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    hook = CheckpointHook(checkpoint, save_model, Path("model.safetensors"), every=5)
    hook.before_train(at(0))
    model(torch.randn(4, 2))
    hook.after_step(at(1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model(torch.full((4, 2), math.nan))  # the step that fails: BN has taken its batch in already
    assert not torch.equal(model[2].running_mean, before["2.running_mean"])
    assert hook.on_failure(at(1)) == f"{checkpoint.path} holds the state before it"
    (written,) = saved
    assert all(torch.equal(tensor, before[name]) for name, tensor in written.items())
    model[2].running_mean.zero_()
    assert checkpoint.load() == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_failure_keeps_the_checkpoint_that_is_there(checkpoint: Checkpointer) -> None:
    saved: list[Path] = []
    hook = CheckpointHook(checkpoint, saved.append, Path("model.safetensors"), every=1)
    hook.after_step(at(1))
    before = checkpoint.path.read_bytes()
    assert hook.on_failure(at(1)) == f"{checkpoint.path} stays as it was"
    assert checkpoint.path.read_bytes() == before
    assert len(saved) == 1


def test_a_failure_of_broken_weights_saves_nothing(checkpoint: Checkpointer) -> None:
    hook = CheckpointHook(checkpoint, lambda path: None, Path("model.safetensors"), every=5)
    hook.before_train(at(0))
    with torch.no_grad():
        checkpoint.model[0].bias[0] = math.inf
    assert "nothing is saved" in hook.on_failure(at(1))
    assert not checkpoint.path.exists()


def test_broken_weights_keep_the_files(checkpoint: Checkpointer) -> None:
    saved: list[Path] = []
    hook = CheckpointHook(checkpoint, saved.append, Path("model.safetensors"), every=1)
    hook.after_step(at(1))
    with torch.no_grad():
        checkpoint.model[0].bias[0] = math.nan
    with pytest.raises(TrainingError, match=r"iteration 2: '0\.bias'"):
        hook.after_step(at(2))
    assert len(saved) == 1
    with torch.no_grad():
        checkpoint.model[0].bias[0] = 0
    assert checkpoint.load() == 1
