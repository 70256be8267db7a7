"""A run keeps the products that it began with, to the last bit, where others would be faster when it is resumed."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from resdet.cli import main
from resdet.engine.checkpoint_hooks import CheckpointHook
from resdet.ops.kernels import Kernels
from resdet.ops.products import onednn_works
from resdet.training import kernels as training_kernels


@pytest.mark.slow
@pytest.mark.skipif(not onednn_works(torch.float32, torch.device("cpu")), reason="this torch has no products of oneDNN here")
def test_a_run_in_two_parts_on_a_machine_that_changes_its_mind(
    detection_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fastest = {}
    monkeypatch.setattr(
        training_kernels, "default_kernels", lambda pin="auto": Kernels(fastest["now"] if pin == "auto" else pin)
    )
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(detection_values), encoding="utf-8")
    length = detection_values["schedule"]["iterations"]
    states = {}
    for name, other in (("whole", "onednn"), ("parts", "torch")):
        folder = tmp_path / name
        fastest["now"] = "onednn"
        arguments = ["train-det", "--config", str(path), "--output", str(folder), "--device", "cpu"]
        if name == "parts":
            assert _interrupted(arguments, length // 2) == 130
            fastest["now"] = other
        assert main([*arguments, "--resume"]) == 0
        assert yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["run"]["kernels"] == "onednn"
        states[name] = torch.load(folder / "state.pt", weights_only=True)
        assert states[name]["extra"]["machine"]["kernels"] == "onednn"
    assert "here those of torch would be faster" in caplog.text
    for key, value in states["whole"]["model"].items():
        assert torch.equal(states["parts"]["model"][key], value), key


def _interrupted(arguments: list[str], step: int) -> int:
    """The exit status of a run that is asked to stop after a step."""
    after_step = CheckpointHook.after_step

    def stop(self: CheckpointHook, progress: Any) -> None:
        after_step(self, progress)
        if progress.iteration == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointHook, "after_step", stop)
        return main(arguments)
