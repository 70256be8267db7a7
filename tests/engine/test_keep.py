"""What a run holds against its own beginning when it is resumed: the data, and the machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_task import PlainTask
from toy_run import toy_batches, toy_model, toy_step

from resdet.engine.keep import keep
from resdet.engine.lr_schedule import LearningRate, Steps
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import Run
from resdet.engine.run_folder import open_run
from resdet.engine.train_loop import train
from resdet.errors import ConfigError


class KeptTask(PlainTask):
    """The toy run's, of any data."""

    def __init__(self, data: dict[str, Any]) -> None:
        torch.manual_seed(0)
        super().__init__(toy_model(), toy_step, toy_batches)
        self.data = data

    def save(self, model: torch.nn.Module, path: Path) -> None:
        path.touch()


def trained(folder: Path, iterations: int, machine: dict[str, str], **data: Any) -> None:
    """Begin or resume a run, and train it up to ``iterations``."""
    task = KeptTask(data)
    with open_run(folder, "run: toy\n", resume=True) as files:
        run = Run(
            0,
            iterations,
            task=task,
            network=task.model,
            optimizer=build_sgd(task.model, lr=0.1, momentum=0.9, weight_decay=0.0),
            schedule=LearningRate(0.1, Steps([])),
            files=files,
        )
        keep(run, log_every=0, checkpoint_every=0, eval_every=0, machine=machine)
        train(run)


def test_another_machine_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = []
    machines = ({"threads": "1", "torch": "2.6"}, {"threads": "1", "torch": "2.6"}, {"threads": "2", "torch": "2.6"}, {}, {})
    with caplog.at_level(logging.WARNING, "resdet.engine.keep"):
        for iterations, machine in enumerate(machines, 1):
            trained(tmp_path, iterations, machine, images=8)
            told.append([record.getMessage() for record in caplog.records])
            caplog.clear()
    same = f"{tmp_path}: not the same to the last bit as if it had gone on as it began: "
    gone = [same + "threads '2' before, None now", same + "torch '2.6' before, None now"]
    assert told == [[], [], [same + "threads '1' before, '2' now"], gone, []]


def test_other_data_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, 1, {}, images=8, classes=3, seed=0)
    with pytest.raises(ConfigError) as caught:
        trained(tmp_path, 2, {}, images=9, classes=4, seed=0)
    assert caught.value.problems == (
        f"{tmp_path / 'state.pt'}: trained on images 8, the data has 9 now",
        f"{tmp_path / 'state.pt'}: trained on classes 3, the data has 4 now",
        "with --accept-data-change the run goes on with the data as they are now",
    )
