"""A run with a moving average of its weights: it is the average that is evaluated and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from plain_task import PlainTask
from torch import Tensor, nn
from toy_run import toy_batches, toy_model, toy_step

from resdet.engine.averaging import moving_average
from resdet.engine.keep import keep
from resdet.engine.lr_schedule import LearningRate
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import Hook, Progress, Run
from resdet.engine.run_folder import open_run
from resdet.engine.train_loop import train

STEPS = 6


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class WatchedTask(PlainTask):
    """The toy run's; it notes what is evaluated and what is saved."""

    evaluates = True

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(toy_model(), toy_step, toy_batches)
        self.evaluated: list[dict[str, Tensor]] = []
        self.saved: list[dict[str, Tensor]] = []

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        self.evaluated.append(values(model))
        return {"AP": 0.5}

    def score(self, metrics: dict[str, Any]) -> float:
        return metrics["AP"]

    def save(self, model: nn.Module, path: Path) -> None:
        self.saved.append(values(model))
        path.touch()


class Weights(Hook):
    """Notes the weights of every step."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []

    def after_step(self, run: Progress) -> None:
        self.seen.append(values(run.task.model))  # type: ignore[attr-defined]


def test_the_average_of_all_steps_is_evaluated_and_saved(tmp_path: Path) -> None:
    task, weights = WatchedTask(), Weights()
    with open_run(tmp_path, "run: toy\n", resume=False) as files:
        run = Run(
            0,
            STEPS,
            task=task,
            network=task.model,
            optimizer=build_sgd(task.model, lr=0.1, momentum=0.9, weight_decay=0.0),
            schedule=LearningRate(0.1),
            files=files,
            average=moving_average(task.model, 0.5),
            hooks=[weights],
        )
        keep(run, log_every=0, checkpoint_every=0, eval_every=0, machine={})
        train(run)
    expected: dict[str, Tensor] = {}
    for updates, now in enumerate(weights.seen):
        kept = min(0.5, (1 + updates) / (10 + updates)) if updates else 0.0  # the first update takes all
        expected = {
            name: kept * expected.get(name, value).double() + (1 - kept) * value.double()
            if value.is_floating_point()
            else value
            for name, value in now.items()
        }
    assert len(weights.seen) == STEPS
    # the best by the one evaluation, and the last
    assert (len(task.evaluated), len(task.saved)) == (1, 2)
    for found in (*task.evaluated, *task.saved):
        for name, value in found.items():
            torch.testing.assert_close(value.double(), expected[name].double(), rtol=1e-5, atol=1e-6, msg=name)
    assert not torch.allclose(task.saved[-1]["0.weight"], weights.seen[-1]["0.weight"], rtol=1e-3, atol=1e-4)
