"""A run of the command in two processes of which one is killed again and again ends as one that nothing disturbed.

``CHAOS_KILLS`` is the number of kills; ``make chaos`` sets it to 30.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_detectors import picture

from resdet.distributed.launch import launch
from resdet.errors import ConfigError

KILLS = int(os.environ.get("CHAOS_KILLS", "2"))
STEPS = 24 * KILLS
LIMIT = 600


def children(parent: int) -> list[int]:
    """The processes that a process has started, by Linux's table of processes."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:  # it has ended
                continue
            if int(text.rpartition(")")[2].split()[1]) == parent:
                found.append(int(folder.name))
    return found


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    for label in range(2):
        folder = tmp_path / "train" / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = np.asarray(picture(4 * label + number, 40, 40).permute(1, 2, 0))
            Image.fromarray(pixels).save(folder / f"{number}.png")
    values = {
        "task": "classification",
        "model": {"backbone": {"name": "resnet18", "width": 4}},
        "data": {"train": {"format": "folder", "root": str(tmp_path / "train")}, "crop": 32, "workers": 0},
        "optimizer": {"lr": 0.002},
        "schedule": {"iterations": STEPS},
        "run": {"batch": 6, "log_every": 1, "checkpoint_every": 3, "sync_bn": True},
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def started(run_file: Path, folder: Path, restarts: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "resdet", "train-cls", "--config", str(run_file), "--output", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    launcher = ["--device", "cpu", "--devices", "2", "--max-restarts", str(restarts)]
    return subprocess.Popen([*command, *launcher], env=environment)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes where Linux lists them")
def test_a_run_survives_kills(run_file: Path, tmp_path: Path) -> None:
    assert started(run_file, tmp_path / "undisturbed", 0).wait(LIMIT) == 0

    chance, folder, until = random.Random(0), tmp_path / "disturbed", time.monotonic() + LIMIT * KILLS
    running = started(run_file, folder, KILLS)
    written, killed = folder / "log.jsonl", 0
    seen = 0
    while killed < KILLS and running.poll() is None and time.monotonic() < until:
        lines = len(written.read_text().splitlines()) if written.exists() else 0
        workers = children(running.pid)
        # a few steps on, so that every start gets past a checkpoint
        if lines >= seen + 4 + chance.randrange(6) and len(workers) == 2:
            os.kill(chance.choice(workers), signal.SIGKILL)
            killed, seen = killed + 1, lines
            while set(children(running.pid)) & set(workers) and running.poll() is None:
                time.sleep(0.05)
        time.sleep(0.02)
    assert running.wait(LIMIT) == 0
    assert killed == KILLS
    for name in ("model.safetensors", "state.pt"):
        assert (folder / name).stat().st_size > 1000
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "undisturbed" / "model.safetensors").read_bytes()


def test_the_launcher_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--nnodes 2 needs --rdzv-endpoint HOST:PORT"):
        launch(["train-cls"], 2, nodes="2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="torchrun has started this one already"):
        launch(["train-cls"], 2)
