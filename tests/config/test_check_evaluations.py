"""Options of evaluations that go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.config import load_config
from resdet.errors import ConfigError

GOOD = [
    ("detection", "run.best=bbox.AP50"),
    ("detection", "run.best=per_class.cat.AP"),
    ("detection", "run.best=voc.mAP data.metric=voc07"),
    ("detection", "run.best=val_loss.loss run.val_loss=true"),
    ("detection", "run.early_stopping=3 run.eval_every=10"),
    ("classification", "run.best=nll run.val_loss=true"),
    ("localization", "run.best=mean_iou"),
]
BAD = [
    ("detection", "run.best=bbox.AP51", r"'run\.best' must be a number of metrics\.json \(did you mean 'bbox\.AP"),
    ("detection", "run.best=voc.mAP", r"'run\.best' must be a number"),
    ("detection", "run.best=val_loss.loss", r"'run\.best' is 'val_loss\.loss', which 'run\.val_loss' must compute"),
    (
        "detection",
        "run.early_stopping=3",
        r"'run\.early_stopping' needs evaluations: set 'run\.eval_every', in iterations, got 0",
    ),
    ("detection", "run.early_stopping=3 run.eval_every=1 training=alternating", "and 'training' joint"),
    ("classification", "run.best=bbox.AP", r"'run\.best' must be a number"),
    ("localization", "run.val_loss=true", r"'run\.val_loss' is for detectors and classifiers"),
]


def loaded(folder: Path, task: str, options: str) -> None:
    (folder / "run.yaml").write_text(f"task: {task}\n")
    load_config(folder / "run.yaml", options.split())


@pytest.mark.parametrize(("task", "options"), GOOD)
def test_options_that_go_together(tmp_path: Path, task: str, options: str) -> None:
    loaded(tmp_path, task, options)


@pytest.mark.parametrize(("task", "options", "message"), BAD)
def test_options_that_do_not(tmp_path: Path, task: str, options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, task, options)
