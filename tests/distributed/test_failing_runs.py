"""Whole runs of which one process sleeps, fails, meets a broken image or has no memory left: all end, and the cause is told."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_ranks import Ended, ended_ranks, timed
from PIL import Image
from shared_training import classifier_options
from tiny_detectors import picture

from resdet.config import config_from_dict
from resdet.config.schema import RUN_CONFIGS
from resdet.data.loading.samplers import endless_batches
from resdet.distributed.ranks import Ranks
from resdet.engine.run import Hook, Run
from resdet.training.how import How
from resdet.training.train import train_config

IMAGES, BATCH, SAVED, FAILS = 8, 6, 2, 3
SECONDS = 10.0


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    for number in range(IMAGES):
        folder = tmp_path / "data" / f"class{number // 4}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(picture(number, 40, 40).permute(1, 2, 0))).save(folder / f"{number}.png")
    values = classifier_options(batch=BATCH, checkpoint_every=SAVED, log_every=1)
    values["data"] |= {"train": {"format": "folder", "root": str(tmp_path / "data")}}
    return {**values, "schedule": {"iterations": 5}, "output": str(tmp_path / "run")}


class Planted(Hook):
    """Something happens in one process, in the step after iteration FAILS - 1."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self.happens = happens

    def before_train(self, run: Run) -> None:
        step = run.task.step

        def planted(*args: Any) -> Any:
            if run.ranks.rank == 1 and run.iteration == FAILS - 1:
                self.happens()
            return step(*args)

        run.task.step = planted  # type: ignore[method-assign]


def raises(error: Exception) -> Callable[[], None]:
    def happens() -> None:
        raise error

    return happens


def run(ranks: Ranks, values: dict[str, Any], happens: Callable[[], None] | None = None) -> None:
    config = config_from_dict(RUN_CONFIGS["classification"], values)
    train_config(config, "cpu", How(hooks=[Planted(happens)] if happens else []))


def ended(values: dict[str, Any], happens: Callable[[], None] | None = None, patience: float = 60.0) -> list[Ended]:
    seconds, found = timed(lambda: ended_ranks(2, run, values, happens, patience=patience))
    assert seconds < SECONDS + (patience if patience < SECONDS else 0)
    return found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a mistake of the program"), "ValueError: a mistake of the program"),
        (MemoryError("no room for 7 bytes"), "MemoryError: no room for 7 bytes"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_a_process_that_fails(options: dict[str, Any], error: Exception, text: str) -> None:
    found = ended(options, raises(error))
    assert [each.status for each in found] == [1, 1]
    assert f"rank 1, iteration {FAILS}: {type(error).__name__}: " in found[1].errors
    assert text in found[1].errors
    assert "error: " not in found[0].errors.lower()
    assert "Traceback" not in found[0].errors
    assert torch.load(Path(options["output"]) / "state.pt", weights_only=True)["iteration"] == SAVED


def test_a_process_that_sleeps(options: dict[str, Any]) -> None:
    found = ended(options, lambda: time.sleep(100), patience=2.0)
    assert [each.status for each in found] == [1, 1]
    late = f"rank 0 at iteration {FAILS} has waited 2 s for rank 1 (iteration {FAILS})"
    assert f"error: {late}" in found[0].errors
    assert "error: " not in found[1].errors


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_broken(options: dict[str, Any], workers: int) -> None:
    first, second = ([index for index, _ in batch] for batch in itertools.islice(endless_batches(IMAGES, BATCH, 0), 2))
    place = next(place for place, index in enumerate(second) if index not in first)
    bad = second[place]
    path = Path(options["data"]["train"]["root"]) / f"class{bad // 4}" / f"{bad}.png"
    path.write_bytes(path.read_bytes()[:200])
    options["data"]["workers"] = workers
    found = ended(options)
    assert [each.status for each in found] == [3, 3]
    told = [line for each in found for line in each.errors.splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert told[0].startswith(f"error: rank {place % 2}, iteration 2: {path}: ")
