"""A run that is killed and resumed ends as one that was never touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from plain_task import PlainTask, plain_run
from toy_run import toy_batches, toy_model, toy_step, toy_training

from resdet.engine.lr_schedule import LearningRate
from resdet.errors import ConfigError

CLOCKED = {"time", "data_time", "eta", "memory"}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    toy_training(folder)
    return folder


def killed(folder: Path, die: str, *options: str) -> None:
    here = Path(__file__).resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, here.parents[1:3]))}
    command = [sys.executable, here.parent / "toy_run.py", folder, "--die", die, *options]
    done = subprocess.run(command, env=environment, timeout=900, check=False)
    assert done.returncode == -signal.SIGKILL


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCKED} for line in lines]


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [(key, leaf) for key, item in value.items() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    if isinstance(value, torch.Tensor):
        return [(value.dtype, value.shape, value.reshape(-1).view(torch.uint8).numpy().tobytes())]
    return [value]


def assert_same_run(folder: Path, other: Path) -> None:
    states = [torch.load(each / "state.pt", weights_only=True) for each in (folder, other)]
    assert leaves(states[0]) == leaves(states[1])  # model with BN statistics, momentum, best score, iteration: bit for bit
    assert log(folder) == log(other)
    for name in ("model.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_unbroken_run_logs_and_evaluates(unbroken: Path) -> None:
    lines = log(unbroken)
    assert [line["iteration"] for line in lines if "eval" not in line] == [4, 8, 12, 16, 20]
    assert [line["iteration"] for line in lines if "eval" in line] == [8, 16, 20]
    state = torch.load(unbroken / "state.pt", weights_only=True)
    # the state of 20 was saved before its evaluation, whose score is in the log
    assert (state["iteration"], state["extra"]["evaluated"], state["extra"]["log_window"]) == (20, 16, {})


@pytest.mark.slow
def test_killed_in_a_step_a_save_and_an_evaluation(unbroken: Path, tmp_path: Path) -> None:
    killed(tmp_path, "step:14")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["iteration"] == 10
    killed(tmp_path, "save:15")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["iteration"] == 15
    killed(tmp_path, "evaluate:20")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["extra"]["evaluated"] == 16
    toy_training(tmp_path)
    assert_same_run(tmp_path, unbroken)


@pytest.mark.slow
def test_killed_before_the_first_checkpoint(unbroken: Path, tmp_path: Path) -> None:
    killed(tmp_path, "step:2")
    assert not (tmp_path / "state.pt").exists()
    toy_training(tmp_path)
    assert_same_run(tmp_path, unbroken)


def test_resuming_a_finished_run_changes_nothing(unbroken: Path) -> None:
    before = log(unbroken), leaves(torch.load(unbroken / "state.pt", weights_only=True))
    toy_training(unbroken)
    assert (log(unbroken), leaves(torch.load(unbroken / "state.pt", weights_only=True))) == before


def test_a_run_of_a_task_says_how_it_is_resumed() -> None:
    run = plain_run(PlainTask(toy_model(), toy_step, toy_batches), None, LearningRate(0.1), iterations=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^nowhere: begun from a task, not from a run file: .* again with resume=True$"):
        run.resume()


@pytest.mark.slow
def test_plateau_error_average_parts_and_scale_are_resumed(tmp_path: Path) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    toy_training(unbroken, everything=True)
    state = torch.load(unbroken / "state.pt", weights_only=True)
    assert state["extra"]["schedule"]["policy"]["drops"] >= 1
    assert len(state["extra"]["schedule"]["warmup"]["errors"]) == 20
    assert int(state["parts"]["average"]["n_averaged"]) == 20
    assert state["parts"]["precision"]["scale"] > 1
    killed(broken, "step:14", "--everything")
    killed(broken, "evaluate:16", "--everything")  # the plateau rule must not hear of an evaluation twice
    killed(broken, "evaluate:20", "--everything")
    toy_training(broken, everything=True)
    assert_same_run(broken, unbroken)
