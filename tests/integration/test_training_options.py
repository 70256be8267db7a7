"""The switches of ``train-cls``, through the command and into the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from run_files import RunFile
from safetensors.torch import load_file

import resdet
from resdet.cli import main

QUICK = {
    "data.workers": 0,
    "schedule.iterations": 8,
    "schedule.milestones": [],
    "schedule.warmup_iterations": 0,
    "run.batch": 4,
}
QUICK |= {"recompute_bn": 0, "run.log_every": 1}


@pytest.fixture
def trained(run_file: Callable[..., str], classification_values: RunFile, tmp_path: Path) -> Callable[..., Path]:
    """Trains with options changed, and returns the run folder."""

    def train(changes: dict[str, Any], *arguments: str) -> Path:
        file = run_file(classification_values, {**QUICK, **changes})
        assert main(["train-cls", "--config", file, "--output", str(tmp_path / "run"), *arguments]) == 0
        return tmp_path / "run"

    return train


def log(run: Path) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "eval" not in line]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_all_switches_at_once(trained: Callable[..., Path], precision: str) -> None:
    run = trained(
        {
            "regularization": {"label_smoothing": 0.1, "mixup": 0.2, "cutmix": 1.0},
            "optimizer.decay_norm_and_bias": False,
            "optimizer.clip_norm": 5.0,
            "schedule": {"policy": "cosine", "epochs": 0.1, "warmup_iterations": 2},
            "run.accumulate": 2,
            "run.ema": 0.9,
            "run.precision": precision,
            "run.channels_last": True,
            "data.crop_from": "area",
            "data.mean_image": "compute",
            "test": {"views": "ten_crop", "short_sides": [32, 40]},
            "recompute_bn": 8,
        }
    )
    lines = log(run)
    assert all(0 <= line["error"] <= 1 for line in lines)
    assert lines[-1]["lr"] < 0.02 * 0.5
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["meta"]["views"] == "ten_crop"
    state = load_file(run / "model.safetensors")
    assert state["mean_image"].shape == (3, 32, 32)
    assert 20 < float(state["mean_image"].mean()) < 235
    assert resdet.load(run / "model.safetensors", device="cpu").names


def test_what_is_saved_is_the_average(trained: Callable[..., Path]) -> None:
    run = trained({"run.ema": 0.8})
    state = torch.load(run / "state.pt", weights_only=True)
    saved = load_file(run / "model.safetensors")
    average = {key.removeprefix("module."): value for key, value in state["parts"]["average"].items()}
    assert int(average["n_averaged"]) == 8
    for name, value in saved.items():
        assert torch.equal(value, average[name]), name
    assert not torch.equal(saved["backbone.conv1.weight"], state["model"]["backbone.conv1.weight"])


def test_the_rate_falls_at_a_plateau_of_the_score(trained: Callable[..., Path]) -> None:
    changes = {"schedule.policy": "plateau", "schedule.patience": 1, "schedule.threshold": 1.0, "schedule.gamma": 0.5}
    run = trained({**changes, "run.eval_every": 2})
    # the first evaluation is the best so far; each later one is no gain of 1.0
    assert [line["lr"] for line in log(run)] == pytest.approx([0.02] * 4 + [0.01] * 2 + [0.005] * 2)


def test_the_rate_waits_for_the_training_error(trained: Callable[..., Path]) -> None:
    run = trained({"schedule.warmup_until_error": 0.5, "schedule.warmup_factor": 0.1})
    assert [line["lr"] for line in log(run)] == pytest.approx([0.002] * 8)  # 8 iterations are too few to say
    assert len(torch.load(run / "state.pt", weights_only=True)["extra"]["schedule"]["warmup"]["errors"]) == 8


def test_parts_of_a_batch_change_the_memory_not_the_data(trained: Callable[..., Path]) -> None:
    run = trained({})
    whole = log(run)[0]
    trained({"run.accumulate": 2}, "--output", str(run.parent / "parts"))
    parts = log(run.parent / "parts")[0]
    assert parts["lr"] == whole["lr"]
    assert parts["loss"] != whole["loss"]  # BN sees two images at a time
    assert parts["loss"] == pytest.approx(whole["loss"], rel=0.5)


def test_recomputed_activations_change_no_number(trained: Callable[..., Path]) -> None:
    run = trained({})
    trained({"run.checkpoint_activations": True}, "--output", str(run.parent / "recomputed"))
    kept, again = (load_file(folder / "model.safetensors") for folder in (run, run.parent / "recomputed"))
    assert all(torch.equal(again[name], value) for name, value in kept.items())


def test_without_bn_and_with_blocks_left_out(trained: Callable[..., Path]) -> None:
    run = trained(
        {
            "model.backbone": {
                "name": "resnet18",
                "width": 4,
                "norm": "fixup",
                "mean": [0.5, 0.5, 0.5],
                "std": [0.25, 0.25, 0.25],
            },
            "regularization.stochastic_depth": 0.5,
            "schedule.iterations": 3,
        }
    )
    assert not any("running_" in name for name in load_file(run / "model.safetensors"))
    assert resdet.load_classifier(run / "model.safetensors", device="cpu").model.pixels.mean == (0.5, 0.5, 0.5)


def test_bn_statistics_of_a_finished_run_are_recomputed(
    trained: Callable[..., Path], run_file: Callable[..., str], classification_values: RunFile
) -> None:
    run = trained({})
    before, state = load_file(run / "model.safetensors"), (run / "state.pt").read_bytes()
    metrics = (run / "metrics.json").read_text()
    file = run_file(classification_values, {**QUICK, "recompute_bn": 12}, "again.yaml")
    assert main(["train-cls", "--config", file, "--output", str(run), "--recompute-bn"]) == 0
    after = load_file(run / "model.safetensors")
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    changed = {name for name in changed if not name.endswith("num_batches_tracked")}  # a counter that changes no output
    assert changed == {name for name in after if "running_" in name}
    assert (run / "state.pt").read_bytes() == state
    assert json.loads((run / "metrics.json").read_text()) != json.loads(metrics)
    # the same images in the same order: the same statistics
    assert main(["train-cls", "--config", file, "--output", str(run), "--recompute-bn"]) == 0
    again = load_file(run / "model.safetensors")
    assert all(torch.equal(again[name], after[name]) for name in changed)


def test_recomputing_without_a_model_is_a_mistake(
    run_file: Callable[..., str], classification_values: RunFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_file(classification_values)
    assert main(["train-cls", "--config", file, "--output", str(tmp_path / "none"), "--recompute-bn"]) == 2
    assert "model.safetensors: no such model file" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_one_value_for_bn_is_a_mistake(
    run_file: Callable[..., str], classification_values: RunFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_file(classification_values, {**QUICK, "run.accumulate": 4})
    assert main(["train-cls", "--config", file, "--output", str(tmp_path / "none")]) == 2
    assert "'run.batch' 4 and 'run.accumulate' 4 leave 1 image at a" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_network_that_trains_is_compiled(trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    trained({"run.compile": True, "run.ema": 0.5, "schedule.iterations": 1})
    assert compiled == ["ResNet"]


def test_statistics_of_one_image_are_refused_before_training(
    run_file: Callable[..., str], classification_values: RunFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_file(classification_values, {**QUICK, "recompute_bn": 1})
    assert main(["train-cls", "--config", file, "--output", str(tmp_path / "none")]) == 2
    assert "'recompute_bn' must be at least 2 images, got 1 of" in capsys.readouterr().err


def test_the_pace_of_evaluations_is_part_of_a_plateau(
    trained: Callable[..., Path],
    run_file: Callable[..., str],
    classification_values: RunFile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = {**QUICK, "schedule.policy": "plateau", "run.eval_every": 4}
    run = trained(changes)
    again = run_file(classification_values, {**changes, "run.eval_every": 2}, "again.yaml")
    assert main(["train-cls", "--config", again, "--output", str(run), "--resume"]) == 2
    assert "option 'run.eval_every' is 4 there and 2 now" in capsys.readouterr().err
