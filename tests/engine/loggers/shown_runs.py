"""A run whose evaluation has a picture, a curve and scores to look at, and what its loop tells hooks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from plain_task import PlainTask, plain_run
from torch import nn

from resdet.engine.loggers.hook import LoggerHook
from resdet.engine.run import Run
from resdet.engine.run_folder import RunFolder
from resdet.engine.task import Shown
from resdet.evaluation.thresholds import score_curve

CURVE = score_curve(np.array([0.9, 0.8, 0.3]), np.array([True, False, True]), 4)


class ShownTask(PlainTask):
    def shown(self) -> Shown:
        return Shown({"a": Image.new("RGB", (20, 10), "red")}, {"cat": CURVE}, {"score": torch.tensor([0.9, 0.8, 0.3])})


def logged_run(folder: Path) -> Run:
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].weight.data = torch.tensor([[-0.5, 0, 0], [0, 0, 2]])
    task = ShownTask(model, lambda *_: {}, lambda _: iter(()))
    run = plain_run(task, torch.optim.SGD(model.parameters(), 0.1), lambda _: 0.1, iterations=8)
    run.files = RunFolder(folder, resumed=False)
    return run


def lines_and_evaluation(hook: LoggerHook, run: Run) -> None:
    """Two lines of training and an evaluation after the second one."""
    hook.before_train(run)
    for run.iteration, loss in ((4, 0.25), (8, 0.125)):
        line = {"iteration": run.iteration, "lr": 0.5, "loss": loss, "ratio": float("nan"), "done": True, "note": "x"}
        hook.after_log(run, line)
    run.metrics, run.score = {"bbox": {"AP": 0.5, "APs": None}}, 0.5
    hook.after_evaluation(run)
    hook.close()
