"""What a run holds against its own beginning when it is resumed: the data, and the machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_run import toy_batches, toy_model, toy_step

from resdet.engine.lr_schedule import LearningRate, Steps
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import run_training
from resdet.engine.run_folder import open_run
from resdet.errors import ConfigError


def train(folder: Path, iterations: int, machine: dict[str, str] | None = None, **data: Any) -> None:
    """Begin or resume a run, and train it up to ``iterations``."""
    torch.manual_seed(0)
    model = toy_model()
    with open_run(folder, "run: toy\n", resume=True) as run:
        run_training(
            run,
            model,
            toy_step(model),
            build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.0),
            LearningRate(0.1, Steps([])),
            toy_batches,
            evaluate=None,
            score=lambda _: 0.0,
            save_model=lambda path: path.touch(),
            data=data,
            iterations=iterations,
            seed=3,
            device=torch.device("cpu"),
            log_every=0,
            checkpoint_every=0,
            eval_every=0,
            machine=machine,
        )


def test_another_machine_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = []
    machines = (
        {"threads": "1", "torch": "2.6"},
        {"threads": "1", "torch": "2.6"},
        {"threads": "2", "torch": "2.6"},
        None,
        None,
    )
    with caplog.at_level(logging.WARNING, "resdet.engine.run"):
        for iterations, machine in enumerate(machines, 1):
            train(tmp_path, iterations, machine, images=8)
            told.append([record.getMessage() for record in caplog.records])
            caplog.clear()
    same = f"{tmp_path}: not the same to the last bit as if it had gone on as it began: "
    gone = [same + "threads '2' before, None now", same + "torch '2.6' before, None now"]
    assert told == [[], [], [same + "threads '1' before, '2' now"], gone, []]


def test_other_data_is_refused(tmp_path: Path) -> None:
    train(tmp_path, 1, images=8, classes=3, seed=0)
    with pytest.raises(ConfigError) as caught:
        train(tmp_path, 2, images=9, classes=4, seed=0)
    assert caught.value.problems == (
        f"{tmp_path / 'state.pt'}: trained on images 8, the data has 9 now",
        f"{tmp_path / 'state.pt'}: trained on classes 3, the data has 4 now",
    )
