"""Runs of ``train-det``: options of the four steps, the command, what they leave behind, and how a test ends one early."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from resdet.engine.checkpoint_hooks import CheckpointHook
from resdet.engine.run import Progress

ALTERNATING = {
    "training": "alternating",
    "alternating": {"rpn": {"batch": 3, "iterations": 4, "milestones": [3]}, "roi": {"iterations": 3}},
    "schedule": {"iterations": 9, "warmup_iterations": 2},
    "model.test.score_thresh": 0.002,  # trained so little, a detector is sure of nothing
    "data.workers": 0,
    "run.log_every": 1,
    "run.checkpoint_every": 2,
}


def command(config: Path, folder: Path, *more: str) -> list[str]:
    """The command line of a run on the CPU, ``more`` at its end."""
    return ["train-det", "--config", str(config), "--output", str(folder), "--device", "cpu", *more]


def model(folder: Path, step: str = "") -> dict[str, torch.Tensor]:
    """The weights that a run, or one of its steps, has written."""
    return load_file(folder / step / "model.safetensors")


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    """The parts, "trunk", "rpn", "roi_heads", in which two networks differ by a bit or more."""
    assert one.keys() == other.keys()
    return {name.partition(".")[0] for name in one if not torch.equal(one[name], other[name])}


def log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


class KilledError(Exception):
    """Where a test ends the program."""


def killed_before_save(step: str, iteration: str) -> Callable[[CheckpointHook, Progress], None]:
    """In place of ``CheckpointHook.after_step``: ends the run in a folder once, before it saves an iteration."""
    after_step = CheckpointHook.after_step
    pending = [True]

    def killed(self: CheckpointHook, progress: Progress) -> None:
        if pending and self.model_path.parent.name == step and progress.iteration == int(iteration):
            pending.clear()
            raise KilledError
        after_step(self, progress)

    return killed
