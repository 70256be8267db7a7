"""Images that can no longer be read during training: the steps before are saved, then the image is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
import toy_run
from test_resume import assert_same_run

from resdet.errors import DataError

READ = 7  # batches, before an image is gone


def vanishing(start: int) -> Iterator[toy_run.ToyBatch]:
    for batch in BATCHES(start):
        if batch.iteration == READ:
            raise DataError("a.jpg: no such image file")
        yield batch


BATCHES = toy_run.toy_batches


def test_an_image_that_vanished_costs_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_run.toy_training(tmp_path / "unbroken")
    monkeypatch.setattr(toy_run, "toy_batches", vanishing)
    with pytest.raises(DataError, match=r"a\.jpg: no such image file"):
        toy_run.toy_training(tmp_path / "run")
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["iteration"] == READ  # the last checkpoint was at 5
    monkeypatch.setattr(toy_run, "toy_batches", BATCHES)
    toy_run.toy_training(tmp_path / "run")
    assert_same_run(tmp_path / "run", tmp_path / "unbroken")


def test_an_image_that_was_never_there_leaves_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_run, "toy_batches", lambda _: vanishing(READ))
    with pytest.raises(DataError, match=r"a\.jpg"):
        toy_run.toy_training(tmp_path)
    assert not (tmp_path / "state.pt").exists()
