"""What may be lost or changed between a run and its ``--resume``: it is told, and nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import resdet
from resdet.cli import main
from resdet.engine.run_lock import held
from resdet.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN")


@pytest.fixture
def command(tiny_coco: Any, tmp_path: Path) -> list[str]:
    """A detector's training of two steps, which was done once."""
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    values = {
        "task": "detection",
        "from_scratch": True,
        "model": {"backbone": {"name": "resnet18", "width": 4}, "freeze_at": 0, "anchors": {"sizes": [16, 32]}},
        "data": {"train": [source], "val": None, "short_side": [64], "max_side": 96, "test_short_side": 64, "workers": 0},
        "optimizer": {"lr": 0.001},
        "schedule": {"iterations": 2, "warmup_iterations": 1},
        "run": {"batch": 2, "log_every": 1, "checkpoint_every": 1, "kernels": "torch"},
        "output": str(tmp_path / "run"),
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    command = ["train-det", "--config", str(path), "--device", "cpu"]
    assert main(command) == 0
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and "tfevents" not in path.name}


def test_a_resumed_run_whose_state_is_gone_overwrites_nothing(
    command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "state.pt").rename(folder.parent / "state.pt")
    before = content(folder)
    capsys.readouterr()
    assert main([*command, "--resume"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {folder / 'state.pt'} is gone, training would begin anew and overwrite model.safetensors, state.previous.pt: "
        "rename state.previous.pt, the state before, to state.pt, or put state.pt back, or pass --restart, which moves what is "
        "there aside"
    )
    assert content(folder) == before
    (folder / "state.previous.pt").rename(folder / "state.pt")
    assert main([*command, "--resume"]) == 0
    assert content(folder)["model.safetensors"] == before["model.safetensors"]


def test_a_log_of_an_evaluation_shows_that_a_state_is_gone(
    command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("state.pt", "state.previous.pt", "model.safetensors"):
        (folder / name).unlink()
    kept = (folder / "log.jsonl").read_text() + '{"iteration": 2, "eval": {}, "score": 0.5}\n'
    (folder / "log.jsonl").write_text(kept)
    assert main([*command, "--resume"]) == 2
    assert "training would begin anew and overwrite log.jsonl" in capsys.readouterr().err
    assert (folder / "log.jsonl").read_text() == kept


def test_a_damaged_state_offers_the_state_before(command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = content(folder)["model.safetensors"]
    damaged = bytearray((folder / "state.pt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "state.pt").write_bytes(damaged)
    capsys.readouterr()
    assert main([*command, "--resume"]) == 3
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1] == (
        f"error: {folder / 'state.previous.pt'} holds the state of iteration 1: to continue from it, rename it to state.pt"
    )
    assert "is damaged" in errors[-2]
    (folder / "state.previous.pt").rename(folder / "state.pt")
    assert main([*command, "--resume"]) == 0
    assert content(folder)["model.safetensors"] == weights


def test_restart_moves_the_old_run_aside(command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(folder)
    capsys.readouterr()
    assert main([*command, "--restart", "run.seed=1"]) == 0
    assert f"{folder}: the run that was there is in {folder}.1 now\n" in capsys.readouterr().err
    assert content(folder.with_name("run.1")) == before
    assert content(folder)["model.safetensors"] != before["model.safetensors"]
    resdet.train(command[2], restart=True, device="cpu")
    assert content(folder)["model.safetensors"] == before["model.safetensors"]
    assert folder.with_name("run.2").is_dir()
    with held(folder):
        pass
    assert main([*command, "--restart", "--resume"]) == 2
    assert "--restart begins anew and --resume goes on: give one of them" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="'restart' begins anew and 'resume' goes on"):
        resdet.train(command[2], restart=True, resume=True)


def test_boxes_that_changed_before_resume_are_told_and_accepted_when_asked(
    command: list[str], folder: Path, tiny_coco: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    state = (folder / "state.pt").read_bytes()
    values = tiny_coco.read()
    values["annotations"][0]["bbox"][0] += 3
    values["annotations"][3]["category_id"] = 1
    tiny_coco.write(values)
    capsys.readouterr()
    assert main([*command, "--resume"]) == 2
    errors = capsys.readouterr().err.splitlines()[-2:]
    first = tiny_coco.images / "000001.png"
    difference = f"{folder / 'state.pt'}: 2 of 5 images have other sizes, objects or classes, the first is {first}"
    assert errors == [
        f"error: {difference}",
        "error: with --accept-data-change the run goes on with the data as they are now",
    ]
    assert (folder / "state.pt").read_bytes() == state
    assert main([*command, "--accept-data-change"]) == 2
    assert "give --resume with it" in capsys.readouterr().err
    more = ["--change", "schedule.iterations=3"]
    assert main([*command, "--resume", "--accept-data-change", *more]) == 0
    assert difference in caplog.messages
    assert main([*command, "--resume", *more]) == 0, "what was accepted once is the run's data from then on"
    assert [json.loads(line)["iteration"] for line in (folder / "log.jsonl").read_text().splitlines()] == [1, 2, 2, 3]
