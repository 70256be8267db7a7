"""Training where a run file names no validation set, or switches that of its base off."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resdet.cli import main
from resdet.config import load_config


@pytest.mark.parametrize("command", ["train-det", "train-cls"])
@pytest.mark.parametrize("val", [{}, None])
def test_training_without_a_validation_set(
    command: str,
    val: dict | None,
    detection_values: dict,
    classification_values: dict,
    run_file: Callable[..., str],
    tmp_path: Path,
) -> None:
    values = detection_values if command == "train-det" else classification_values
    changes = {"data.workers": 0, "schedule": {"iterations": 2}, "run.checkpoint_every": 1, "run.eval_every": 1}
    base = run_file(values, changes, "base.yaml")
    assert load_config(base).data.val.root
    file = run_file(values, {**changes, "data.val": val})
    if val is None:  # over a base that has one
        file = run_file({"base": "base", "data": {"val": None}})
    folder = tmp_path / "run"
    assert main([command, "--config", file, "--output", str(folder)]) == 0
    made = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "state.pt", "log.jsonl"} <= made
    assert not made & {"best.safetensors", "metrics.json", "detections.json", "predictions.npz"}
    assert not load_config(folder / "config.yaml").data.val.root

    # it may be resumed with the config that it wrote, and with the one that it was started by
    written = shutil.copy(folder / "config.yaml", tmp_path / "written.yaml")
    for config in (str(written), file):
        assert main([command, "--config", config, "--output", str(folder), "--resume"]) == 0
    assert not {path.name for path in folder.iterdir()} & {"best.safetensors", "metrics.json"}
