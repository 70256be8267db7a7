"""A run in another number of iterations."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from resdet.config.schema import (
    ClassificationDataConfig,
    ClassificationRunConfig,
    ClassificationSourceConfig,
    RunConfig,
    ScheduleConfig,
)
from resdet.training.budget import at_budget, budgeted, quick_looks


@pytest.mark.parametrize(
    ("iterations", "milestones", "warmup"),
    [
        (64000, [32000, 48000], 400),
        (1000, [500, 750], 6),
        (640000, [320000, 480000], 4000),
        (3, [2], 0),  # 1.5 and 2.25 round to one step
        (1, [1], 0),
    ],
)
def test_a_schedule_at_another_budget(iterations: int, milestones: list[int], warmup: int) -> None:
    schedule = ScheduleConfig(iterations=64000, milestones=[32000, 48000], warmup_iterations=400, gamma=0.3, policy="steps")
    found = at_budget(schedule, iterations)
    assert (found.iterations, found.milestones, found.warmup_iterations) == (iterations, milestones, warmup)
    assert (found.gamma, found.policy) == (0.3, "steps")
    assert schedule.iterations == 64000


@pytest.mark.parametrize(("iterations", "evaluate", "log"), [(1000, 100, 20), (100, 10, 2), (3, 1, 1)])
def test_a_short_run_is_looked_at_often(iterations: int, evaluate: int, log: int) -> None:
    found = quick_looks(RunConfig(log_every=20, eval_every=5000), iterations)
    assert (found.eval_every, found.log_every) == (evaluate, log)
    assert quick_looks(RunConfig(log_every=20), 10**6).log_every == 20


@pytest.fixture
def config(tmp_path: Path) -> ClassificationRunConfig:
    """Ten images in batches of four: an epoch is 2.5 iterations."""
    for number in range(10):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    source = ClassificationSourceConfig("folder", str(tmp_path / "data"))
    schedule = ScheduleConfig(epochs=8, milestone_epochs=[2, 4])
    return ClassificationRunConfig(data=ClassificationDataConfig(train=source), schedule=schedule, run=RunConfig(batch=4))


def test_epochs_become_iterations(config: ClassificationRunConfig) -> None:
    """20 iterations with milestones after 5 and 10 become 100 with 25 and 50."""
    found = budgeted(config, 100)
    assert (found.schedule.epochs, found.schedule.milestone_epochs) == (0, [])
    assert (found.schedule.iterations, found.schedule.milestones) == (100, [25, 50])
    assert (found.run.eval_every, found.run.log_every) == (10, 2)
    assert (found.data, found.run.batch) == (config.data, 4)


@pytest.mark.parametrize(
    ("overrides", "evaluate", "log"),
    [(["run.eval_every=7"], 7, 2), (["run.log_every=7", "run.eval_every=7"], 7, 7), (["x=1"], 10, 2)],
)
def test_what_was_asked_for_stays(config: ClassificationRunConfig, overrides: list[str], evaluate: int, log: int) -> None:
    config.run.eval_every = config.run.log_every = 7
    found = budgeted(config, 100, overrides)
    assert (found.run.eval_every, found.run.log_every) == (evaluate, log)


def test_without_a_budget_nothing_changes(config: ClassificationRunConfig) -> None:
    assert budgeted(config, None) is config
