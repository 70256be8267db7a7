"""A run that goes on with other options: which may differ, what is kept and logged, and what its optimizer does."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_task import PlainTask
from toy_run import toy_batches, toy_model, toy_step

from resdet.config import config_to_yaml
from resdet.config.schema import DetectionRunConfig
from resdet.engine.keep import keep
from resdet.engine.lr_schedule import LearningRate
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import Run
from resdet.engine.run_folder import open_run
from resdet.engine.train_loop import train
from resdet.errors import ConfigError


class SavedTask(PlainTask):
    """The toy run's, with an empty model file."""

    def __init__(self, classes: int = 3) -> None:
        torch.manual_seed(0)
        super().__init__(toy_model(), toy_step, toy_batches)
        self.data = {"classes": classes}

    def save(self, model: torch.nn.Module, path: Path) -> None:
        path.write_text("")


def trained(folder: Path, change: tuple[str, ...] = (), classes: int = 3, **options: Any) -> Run:
    """Begin or resume a run whose config has these options, ``section__name`` for ``section.name``."""
    config = DetectionRunConfig()
    config.schedule.iterations = 4
    for name, value in options.items():
        section, _, option = name.partition("__")
        setattr(getattr(config, section), option, value)
    task = SavedTask(classes)
    with open_run(folder, config_to_yaml(config), resume=folder.exists(), change=change) as files:
        run = Run(
            0,
            config.schedule.iterations,
            task=task,
            network=task.model,
            optimizer=build_sgd(task.model, config.optimizer.lr, config.optimizer.momentum, config.optimizer.weight_decay),
            schedule=LearningRate(config.optimizer.lr),
            files=files,
        )
        keep(run, log_every=1, checkpoint_every=0, eval_every=0, machine={})
        train(run)
    return run


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_finished_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(folder)
    before = (folder / "config.yaml").read_text()
    run = trained(folder, ("schedule.iterations", "optimizer.lr"), schedule__iterations=6, optimizer__lr=0.5)
    assert (run.iteration, run.lr) == (6, 0.5)
    assert (folder / "config.1.yaml").read_text() == before
    assert "  iterations: 6\n" in (folder / "config.yaml").read_text()
    lines = log(folder)
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 4, 5, 6]
    assert lines[4] == {"iteration": 4, "change": {"optimizer.lr": [0.01, 0.5], "schedule.iterations": [4, 6]}}
    trained(folder, ("schedule.iterations",), schedule__iterations=7, optimizer__lr=0.5)
    assert sorted(path.name for path in folder.glob("config*")) == ["config.1.yaml", "config.2.yaml", "config.yaml"]


def test_what_is_changed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "run"
    with caplog.at_level(logging.INFO, "resdet.engine.keep"):
        trained(folder)
        assert caplog.messages == []
        trained(folder, ("schedule.iterations", "optimizer.lr"), schedule__iterations=6, optimizer__lr=0.5)
    assert caplog.messages == [
        f"{folder}: from iteration 4 on optimizer.lr is 0.5, it was 0.01",
        f"{folder}: from iteration 4 on schedule.iterations is 6, it was 4",
        f"{folder}: from here on this is not, bit for bit, the run that either config describes",
    ]


def test_a_finished_run_may_change_without_going_on(tmp_path: Path) -> None:
    trained(tmp_path / "run")
    assert trained(tmp_path / "run", ("optimizer.lr",), optimizer__lr=0.5).iteration == 4
    assert log(tmp_path / "run")[-1] == {"iteration": 4, "change": {"optimizer.lr": [0.01, 0.5]}}


def test_it_goes_on_as_a_run_of_the_longer_schedule_would(tmp_path: Path) -> None:
    trained(tmp_path / "run")
    changed = trained(tmp_path / "run", ("schedule",), schedule__iterations=9)
    whole = trained(tmp_path / "whole", schedule__iterations=9)
    for one, other in zip(changed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_options_of_the_optimizer_are_the_new_ones(tmp_path: Path) -> None:
    trained(tmp_path / "run")
    run = trained(
        tmp_path / "run",
        ("optimizer", "schedule.iterations"),
        optimizer__momentum=0.5,
        optimizer__weight_decay=0.25,
        schedule__iterations=5,
    )
    (group,) = run.optimizer.param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.5, 0.25)
    assert len(run.optimizer.state) == len(group["params"])  # their momenta were kept


def test_what_is_not_to_change_is_an_error_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(folder)
    with pytest.raises(ConfigError) as caught:
        trained(folder, ("schedule.iterations",), schedule__iterations=6, optimizer__lr=0.5, run__seed=7)
    assert caught.value.problems == (
        f"{folder} holds a run of another config: option 'optimizer.lr' is 0.01 there and 0.5 now",
        f"{folder} holds a run of another config: option 'run.seed' is 0 there and 7 now",
    )
    assert not (folder / "config.1.yaml").exists()


def test_a_new_learning_rate_may_drop_the_batch_of_the_old_one(tmp_path: Path) -> None:
    trained(tmp_path / "run", optimizer__base_batch=2)
    run = trained(tmp_path / "run", ("optimizer.lr",), optimizer__lr=0.5)
    assert run.files.changes == {"optimizer.lr": (0.01, 0.5), "optimizer.base_batch": (2, 0)}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("schedule.iterations",), {"schedule__iterations": 3}, "4 steps are taken already, the schedule has 3 now"),
        (("run.seed",), {"run__seed": 7, "classes": 4}, "trained on classes 3, the data has 4 now"),
    ],
)
def test_a_change_that_does_not_fit_leaves_the_folder_as_it_was(
    tmp_path: Path, change: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "run"
    trained(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and "tfevents" not in path.name}
    with pytest.raises(ConfigError, match=message):
        trained(folder, change, **options)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not (folder / "config.1.yaml").exists()


def test_there_must_be_a_run_to_change(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run that --change could change"):
        trained(tmp_path / "run", ("run.seed",))
