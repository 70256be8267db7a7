"""A run in two processes of which one is killed, again and again or for good, ends as one that nothing disturbed.

``CHAOS_KILLS`` is the number of kills; ``make chaos`` sets it to 30.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_detectors import picture
from torch.distributed import run
from torch.distributed.elastic.rendezvous import RendezvousConnectionError

from resdet.distributed.launch import launch
from resdet.errors import ConfigError, ResdetError

KILLS = int(os.environ.get("CHAOS_KILLS", "2"))
LONG = 30
STEPS = max(48, 14 * KILLS)
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


def started(run_file: Path, folder: Path, *more: object, devices: int = 2) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "resdet", "train-cls", "--config", str(run_file), "--output", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    launcher = ["--device", "cpu", "--devices", str(devices), *map(str, more)]
    return subprocess.Popen([*command, *launcher], env=environment)


def losses(folder: Path) -> list[float]:
    """The losses that a run has logged in whole lines."""
    written = folder / "log.jsonl"
    return [json.loads(line)["loss"] for line in written.read_text().split("\n")[:-1]] if written.exists() else []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes where Linux lists them")
def test_a_run_survives_kills(run_file: Path, tmp_path: Path) -> None:
    assert started(run_file, tmp_path / "undisturbed").wait(LIMIT) == 0

    chance, folder, until = random.Random(0), tmp_path / "disturbed", time.monotonic() + LIMIT * KILLS
    running = started(run_file, folder, "--max-restarts", KILLS)
    killed = seen = 0
    while killed < KILLS and running.poll() is None and time.monotonic() < until:
        lines, workers = len(losses(folder)), children(running.pid)
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


@pytest.mark.slow
@pytest.mark.skipif(KILLS < LONG, reason=f"waits a minute for a launcher that is gone; with CHAOS_KILLS={LONG}")
def test_a_run_that_loses_a_machine_for_good(run_file: Path, tmp_path: Path) -> None:
    """It takes the steps of two processes up to its checkpoint, bit for bit, and from there on those of one."""
    short = "schedule.iterations=30"
    folder, place = tmp_path / "lost", ("--nnodes", "1:2", "--rdzv-endpoint", f"localhost:{free_port()}", "--max-restarts", 3)
    kept = started(run_file, folder, short, "--resume", *place, devices=1)
    time.sleep(3)  # it serves the place where they meet
    lost = started(run_file, folder, short, "--resume", *place, devices=1)
    until = time.monotonic() + LIMIT
    while len(losses(folder)) < 8 and time.monotonic() < until:
        time.sleep(0.02)
    gone, left = children(lost.pid), children(kept.pid)
    assert len(gone) == len(left) == 1
    for process in (lost.pid, *gone):
        os.kill(process, signal.SIGKILL)
    lost.wait()
    while set(children(kept.pid)) & set(left):
        time.sleep(0.05)
    shutil.copytree(folder, tmp_path / "copy")
    kept_at = torch.load(tmp_path / "copy" / "state.pt", weights_only=True)["iteration"]
    assert 6 <= kept_at < 30
    assert kept.wait(LIMIT) == 0

    assert started(run_file, tmp_path / "copy", short, "--resume", devices=1).wait(LIMIT) == 0
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "copy" / "model.safetensors").read_bytes()
    assert started(run_file, tmp_path / "both", short).wait(LIMIT) == 0
    found, both = losses(folder), losses(tmp_path / "both")
    print(
        "of 30 steps, two processes took",
        kept_at,
        "and the difference of the loss in the next one is",
        found[kept_at] - both[kept_at],
    )
    assert found[:kept_at] == both[:kept_at]
    assert found[kept_at] == pytest.approx(both[kept_at], rel=1e-5)
    assert found != both


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nodes": "x"}, "--nnodes must be a number of machines, or MIN:MAX, from 1 on, got 'x'"),
        ({"nodes": "2:1", "endpoint": "a:1"}, "--nnodes must be"),
        ({"nodes": "0"}, "--nnodes must be"),
        ({"endpoint": "localhost"}, "--rdzv-endpoint must be HOST:PORT, got 'localhost'"),
        ({"endpoint": "localhost:65536"}, "--rdzv-endpoint must be HOST:PORT"),
        ({"restarts": -1}, "--max-restarts must be at least 0, got -1"),
    ],
)
def test_what_torchs_launcher_fails_at_is_told_before(
    given: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match=message):
        launch(["eval"], 2, **given)


def test_machines_that_do_not_meet_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_arguments: object) -> None:
        raise RendezvousConnectionError("no answer")

    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(run, "run", away)
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    with pytest.raises(ResdetError, match="--rdzv-endpoint node0:29500: the machines do not meet there: no answer"):
        launch(["eval"], 1, endpoint="node0:29500")


def test_the_launcher_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--nnodes 2 needs --rdzv-endpoint HOST:PORT"):
        launch(["train-cls"], 2, nodes="2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="torchrun has started this one already"):
        launch(["train-cls"], 2)
