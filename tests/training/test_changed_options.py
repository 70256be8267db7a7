"""`--resume --change` and ``resdet.train(…, resume=True, change=…)``: a detector's run goes on with other options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import resdet
from resdet.cli import main
from resdet.config import load_config
from resdet.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN")


@pytest.fixture
def run_file(tiny_coco: Any, tmp_path: Path) -> Path:
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    values = {
        "task": "detection",
        "from_scratch": True,
        "model": {"backbone": {"name": "resnet18", "width": 4}, "freeze_at": 0, "anchors": {"sizes": [16, 32]}},
        "data": {"train": [source], "val": source, "short_side": [64], "max_side": 96, "test_short_side": 64, "workers": 0},
        "optimizer": {"lr": 0.001},
        "schedule": {"iterations": 2, "warmup_iterations": 1},
        "run": {"batch": 2, "log_every": 1, "eval_every": 1, "kernels": "torch", "val_loss": True, "best": "val_loss.loss"},
        "output": str(tmp_path / "run"),
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_run_goes_on_from_the_command_and_from_python(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    command = ["train-det", "--config", str(run_file), "--device", "cpu"]
    assert main([*command, "--resume"]) == 0
    told = f"{folder} holds no run to resume: training begins from the start"
    assert caplog.messages.count(told) == 1
    evaluated = [line for line in lines(folder) if "eval" in line]
    assert [line["score"] for line in evaluated] == [-line["eval"]["val_loss"]["loss"] for line in evaluated]
    assert json.loads((folder / "metrics.json").read_text())["val_loss"] == evaluated[-1]["eval"]["val_loss"]
    capsys.readouterr()

    assert main([*command, "schedule.iterations=4", "--resume"]) == 2
    assert "option 'schedule.iterations' is 2 there and 4 now" in capsys.readouterr().err
    assert main([*command, "--change", "schedule.iterations=4"]) == 2
    assert "give --resume with it" in capsys.readouterr().err
    assert main([*command, "--resume", "--change", "schedule.iterations=4", "optimizer.lr=0.002"]) == 0
    assert caplog.messages.count(told) == 1  # not again, where there is one
    assert f"{folder}: from iteration 2 on schedule.iterations is 4, it was 2" in caplog.messages
    assert f"{folder}: from here on this is not, bit for bit, the run that either config describes" in caplog.messages
    assert [line["lr"] for line in lines(folder) if "lr" in line][2:] == [0.002, 0.002]
    assert [line["change"] for line in lines(folder) if "change" in line] == [
        {"optimizer.lr": [0.001, 0.002], "schedule.iterations": [2, 4]}
    ]
    assert (folder / "report" / "curves.png").exists()

    changed = load_config(folder / "config.yaml")
    assert (changed.schedule.iterations, changed.optimizer.lr) == (4, 0.002)
    run = resdet.train(folder / "config.yaml", resume=True, change={"schedule": {"iterations": 5}}, device="cpu")
    assert (run.iteration, run.lr) == (5, 0.002)
    assert {path.name for path in folder.glob("config*")} == {"config.1.yaml", "config.2.yaml", "config.yaml"}


def test_what_cannot_be_changed_is_told(run_file: Path) -> None:
    with pytest.raises(ConfigError, match="'change' changes a run that goes on: give resume=True with it"):
        resdet.train(run_file, change={"schedule.iterations": 4}, device="cpu")
    with pytest.raises(ConfigError, match="holds no run that --change could change"):
        resdet.train(run_file, resume=True, change={"schedule.iterations": 4}, device="cpu")
    with pytest.raises(ConfigError, match=r"unknown option 'schedule\.iteration'"):
        resdet.train(run_file, resume=True, change={"schedule.iteration": 4}, device="cpu")
    options: dict[str, Any] = {"training": "alternating", "run": {"eval_every": 0}}
    with pytest.raises(ConfigError, match="--change is for a run of one training, option 'training' is alternating"):
        resdet.train(run_file, resume=True, change={"schedule.iterations": 4}, device="cpu", **options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
