"""Both trainers: 20 steps are 15, kill -9 (10 of them saved), 7, a stop and 3, bit for bit, in worker processes or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from resdet.cli import main

ROOT = Path(__file__).resolve().parents[2]
CLOCKED = {"time", "data_time", "eta", "memory"}
PATIENCE = 900.0  # seconds; it ends what hangs, a busy machine may be slow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds worker processes in Linux's /proc"),
]


@pytest.fixture(scope="module", params=["train-det", "train-cls"])
def command(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def config(command: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = request.getfixturevalue("detection_values" if command == "train-det" else "classification_values")
    path = tmp_path_factory.mktemp("resume") / f"{command}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def unbroken(command: str, config: Path) -> Path:
    """The run that nobody touched, with two workers."""
    folder = config.parent / "unbroken"
    assert main(arguments(command, config, folder)) == 0
    return folder


def test_killed_then_stopped_then_finished_is_the_unbroken_run(
    command: str,
    config: Path,
    unbroken: Path,
    tmp_path: Path,
    session_of_processes: list[subprocess.Popen[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    held = start_held(15, arguments(command, config, folder), tmp_path, session_of_processes)
    assert main([*arguments(command, config, folder), "--resume"]) == 2
    assert f"error: {folder}: another process is training there" in capsys.readouterr().err
    assert iterations(folder) == [3, 6, 9, 12, 15]  # steps 11 to 15 are in the log and not in the state
    assert torch.load(folder / "state.pt", weights_only=True)["iteration"] == 10
    assert len(members(held.pid)) >= 3, "the main process and its two workers"
    for process in members(held.pid):
        os.kill(process, signal.SIGKILL)
    assert held.wait(PATIENCE) == -signal.SIGKILL
    assert not (folder / "metrics.json").exists()

    stopped = start_held(17, [*arguments(command, config, folder), "--resume"], tmp_path, session_of_processes)
    assert iterations(folder) == [3, 6, 9, 12, 15]
    stop = {"train-det": signal.SIGTERM, "train-cls": signal.SIGINT}[command]
    os.killpg(stopped.pid, stop)
    _, errors = stopped.communicate(timeout=PATIENCE)
    assert stopped.returncode == 130, errors
    assert "continuing after iteration 10/20" in errors
    assert f"error: stopped by {stop.name} after iteration 17; --resume continues from there" in errors
    assert "Traceback" not in errors
    assert not members(stopped.pid), "its workers are gone"
    assert torch.load(folder / "state.pt", weights_only=True)["iteration"] == 17

    done = subprocess.run(
        [sys.executable, "-m", "resdet", *arguments(command, config, folder), "--resume"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(folder, unbroken)
    metrics = "metrics.json" if command == "train-cls" else "detections.json"
    assert (folder / metrics).read_bytes() == (unbroken / metrics).read_bytes()


def test_without_workers_is_the_run_with_two(command: str, config: Path, unbroken: Path, tmp_path: Path) -> None:
    assert main([*arguments(command, config, tmp_path / "run"), "data.workers=0"]) == 0
    assert_same_run(tmp_path / "run", unbroken)


@pytest.fixture
def session_of_processes() -> Iterator[list[subprocess.Popen[str]]]:
    """The programs that a test starts; whatever they leave is killed at its end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        for member in members(process.pid):
            os.kill(member, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)


def arguments(command: str, config: Path, folder: Path) -> list[str]:
    return [command, "--config", str(config), "--output", str(folder), "--device", "cpu"]


def start_held(
    step: int, command: list[str], folder: Path, session_of_processes: list[subprocess.Popen[str]]
) -> subprocess.Popen[str]:
    """Start a training in a session of its own and wait until it holds after ``step``."""
    announced = folder / "held"
    announced.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("held_run.py")), str(step), *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    session_of_processes.append(process)
    deadline = time.monotonic() + PATIENCE
    while not announced.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"step {step} did not come"
        time.sleep(0.02)
    return process


def members(session: int) -> list[int]:
    """The living processes of a session: workers have a process group of their own, but stay in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(folder.name))
    return found


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCKED} for line in lines]


def iterations(folder: Path) -> list[int]:
    return [line["iteration"] for line in log(folder)]


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{name}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from leaves(item, f"{name}/{index}")
    else:
        yield name, value


def assert_same_run(folder: Path, other: Path) -> None:
    here, there = (dict(leaves(torch.load(each / "state.pt", weights_only=True))) for each in (folder, other))
    assert here.keys() == there.keys()
    assert sum("momentum" in name for name in here) > 20  # the optimizer's state is there too
    assert [name for name in here if not same(here[name], there[name])] == []
    for file in ("model.safetensors", "best.safetensors"):
        tensors, others = (load_file(each / file) for each in (folder, other))
        assert [name for name in tensors if not same(tensors[name], others[name])] == []
        assert tensors.keys() == others.keys()
    assert log(folder) == log(other)


def same(value: Any, other: Any) -> bool:
    """Bit for bit: NaN equals NaN and 0.0 is not -0.0."""
    if isinstance(value, torch.Tensor):
        return value.dtype == other.dtype and value.numpy().tobytes() == other.numpy().tobytes()
    return type(value) is type(other) and repr(value) == repr(other)
