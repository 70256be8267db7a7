"""A run ends when its evaluations no longer get better, and stays ended when it is resumed."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hook_parts import at
from plain_task import PlainTask, plain_run
from toy_run import toy_batches, toy_model, toy_step

from resdet.engine.early_stopping import EarlyStopping
from resdet.engine.keep import keep
from resdet.engine.lr_schedule import LearningRate, Plateau
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import Run
from resdet.engine.run_folder import open_run
from resdet.engine.train_loop import train
from resdet.errors import ConfigError


def ends_at(scores: list[float], patience: int) -> int | None:
    """The number of evaluations after which a run with these scores ends; None: it does not."""
    hook = EarlyStopping(patience, {})
    for count, score in enumerate(scores, 1):
        run = at(count, 100, score=score)
        hook.after_evaluation(run)
        if run.iterations == run.iteration:
            return count
    return None


@pytest.mark.parametrize(
    ("scores", "patience", "end"),
    [
        ([0.1, 0.2, 0.3], 1, None),
        ([0.1, 0.1], 1, 2),
        ([0.3, 0.1, 0.2], 2, 3),
        ([0.3, 0.1, 0.4, 0.1, 0.1], 2, 5),
        ([math.nan, math.nan], 2, 2),
        ([-3, -2, -2.5, -2.5, -2.5], 3, 5),
    ],
)
def test_so_many_evaluations_without_a_gain_end_a_run(scores: list[float], patience: int, end: int | None) -> None:
    assert ends_at(scores, patience) == end


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.3, 0.3], "2: 1 evaluations without a score above 0.3000"),
        ([math.nan], "1: 1 evaluations without a score above any number"),
    ],
)
def test_the_end_is_told(scores: list[float], said: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "resdet.engine.early_stopping"):
        ends_at(scores, 1)
    assert caplog.messages == [f"early stopping after iteration {said}"]


class ScoredTask(PlainTask):
    """The toy run's, whose evaluations have the scores that it is given."""

    evaluates = True

    def __init__(self, scores: list[float]) -> None:
        torch.manual_seed(0)
        super().__init__(toy_model(), toy_step, toy_batches)
        self.scores = iter(scores)

    def evaluate(self, model: torch.nn.Module) -> dict[str, Any]:
        return {"loss": next(self.scores)}

    def score(self, metrics: dict[str, Any]) -> float:
        return metrics["loss"]

    def save(self, model: torch.nn.Module, path: Path) -> None:
        path.write_text("")


def trained(folder: Path, scores: list[float], **options: Any) -> Run:
    """Begin or resume a run of 10 steps with evaluations after every one."""
    task, schedule = ScoredTask(scores), options.pop("schedule", LearningRate(0.1))
    with open_run(folder, "run: toy\n", resume=True) as files:
        run = Run(
            0,
            10,
            task=task,
            network=task.model,
            optimizer=build_sgd(task.model, lr=0.1, momentum=0.9, weight_decay=0.0),
            schedule=schedule,
            files=files,
        )
        keep(run, log_every=0, checkpoint_every=5, eval_every=1, machine={}, **options)
        train(run)
        return run


def test_a_run_that_ended_early_stays_ended_until_it_has_more_patience(tmp_path: Path) -> None:
    assert trained(tmp_path, [0.1, 0.3, 0.2, 0.2], early_stopping=2).iteration == 4
    assert torch.load(tmp_path / "state.pt", weights_only=True)["iteration"] == 4
    assert trained(tmp_path, [], early_stopping=2).iteration == 4  # no further evaluation either
    assert trained(tmp_path, [0.1] * 2, early_stopping=4).iteration == 6
    assert trained(tmp_path, [0.1] * 4).iteration == 10


def test_evaluations_before_a_resume_count(tmp_path: Path) -> None:
    with pytest.raises(StopIteration):
        trained(tmp_path, [0.3, 0.2, 0.2], early_stopping=4)
    assert trained(tmp_path, [0.1, 0.1], early_stopping=4).iteration == 5


def test_the_learning_rate_hears_of_every_evaluation_once(tmp_path: Path) -> None:
    """The last one is in the log, but not in the state, which was saved before it."""
    for scores in ([0.9] + [0.1] * 9, [], []):
        run = trained(tmp_path, scores, schedule=LearningRate(0.1, Plateau(0.1, patience=1)))
        assert run.schedule.state["policy"] == {"best": 0.9, "waited": 0, "drops": 9}
    state = torch.load(tmp_path / "state.pt", weights_only=True)["extra"]["schedule"]["policy"]
    assert state["drops"] == 8


def test_the_best_by_another_number_forgets_the_best_so_far(tmp_path: Path) -> None:
    run = trained(tmp_path, [5.0, *[9.0] * 5], early_stopping=5, best="loss")
    assert (run.iteration, run.score) == (6, -9.0)
    state = torch.load(tmp_path / "state.pt", weights_only=True)["extra"]
    assert state["best_score"] == -5.0
    run = trained(tmp_path, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert run.iteration == 10
    assert torch.load(tmp_path / "state.pt", weights_only=True)["extra"]["best_score"] == 4.0  # before the last evaluation


def test_without_evaluations_there_is_nothing_to_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the run's folder would be made
    task = PlainTask(toy_model(), toy_step, toy_batches)
    run = plain_run(task, build_sgd(task.model, lr=0.1, momentum=0.9, weight_decay=0.0), LearningRate(0.1), iterations=1)
    with pytest.raises(ConfigError, match=r"option 'run\.early_stopping' needs a validation set"):
        keep(run, log_every=0, checkpoint_every=0, eval_every=1, machine={}, early_stopping=1)
    assert not any(tmp_path.iterdir())
