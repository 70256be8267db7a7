"""`resdet analyze` on forty images of noise."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from analyzing import CLASSES, command, noise_config
from PIL import Image

from resdet.cli import main
from resdet.commands import analyze_training
from resdet.config import config_to_yaml
from resdet.config.schema import ClassificationRunConfig
from resdet.engine.task import Results
from resdet.training.how import How

Analyze = Callable[..., int]
NETWORKS = ["--networks", "cifar_plain8", "cifar_resnet14", "--iterations", "4"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_config(tmp_path_factory.mktemp("analyze"))


@pytest.fixture(scope="module")
def trained(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a degradation analysis."""
    folder = tmp_path_factory.mktemp("trained")
    assert main([*command("degradation", config, folder), *NETWORKS, "optimizer.lr=0.01"]) == 0
    return folder


@pytest.fixture
def analyze(config: Path, tmp_path: Path) -> Analyze:
    return lambda name, *arguments: main([*command(name, config, tmp_path / "out"), *arguments])


def results(folder: Path, name: str) -> tuple[list[dict[str, str]], str]:
    """Rows and conclusion, after a look at the picture."""
    with Image.open(folder / f"{name}.png") as picture:
        picture.load()
        assert picture.format == "PNG"
    text = (folder / f"{name}.txt").read_text()
    assert text.count("\n") == 1
    with (folder / f"{name}.csv").open() as file:
        return list(csv.DictReader(file)), text.strip()


def test_degradation_trains_in_folders_of_its_own(trained: Path) -> None:
    rows, conclusion = results(trained, "degradation")
    assert [(row["network"], row["layers"]) for row in rows] == [("cifar_plain8", "8"), ("cifar_resnet14", "14")]
    assert all(0 <= float(row[key]) <= 1 for row in rows for key in ("train_error", "test_error"))
    assert conclusion.startswith("nothing to compare: needs two depths of one kind")
    written = yaml.safe_load((trained / "cifar_resnet14" / "config.yaml").read_text())
    assert written["schedule"]["milestones"] == [2]
    assert written["optimizer"]["lr"] == 0.01
    assert written["run"]["eval_every"] == 1


def test_what_is_finished_is_not_trained_again(
    trained: Path, analyze: Analyze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, tmp_path / "out")
    monkeypatch.delattr(analyze_training, "train_config")
    assert analyze("degradation", *NETWORKS, "optimizer.lr=0.01") == 0
    assert results(tmp_path / "out", "degradation") == results(trained, "degradation")
    assert capsys.readouterr().out.strip() == results(trained, "degradation")[1]

    assert analyze("degradation", *NETWORKS[:-1], "5", "optimizer.lr=0.01") == 2
    assert "option 'schedule.iterations' is 4 there and 5 now" in capsys.readouterr().err

    folders = [str(trained / name) for name in ("cifar_plain8", "cifar_resnet14")]
    assert main(["analyze", "degradation", "--runs", *folders, "--output", str(tmp_path / "again")]) == 0
    assert results(tmp_path / "again", "degradation") == results(trained, "degradation")
    assert main(["analyze", "shortcuts", "--runs", *folders, "--output", str(tmp_path / "again")]) == 2
    assert "--runs must be of networks of one depth, got cifar_plain8, cifar_resnet14" in capsys.readouterr().err


def test_an_interrupted_analysis_goes_on(trained: Path, analyze: Analyze, tmp_path: Path) -> None:
    """What a kill after the first evaluation of the second network leaves: no metrics, and a state to continue from."""
    shutil.copytree(trained, tmp_path / "out")
    for name in ("degradation.csv", "cifar_resnet14/metrics.json"):
        (tmp_path / "out" / name).unlink()
    log = tmp_path / "out" / "cifar_plain8" / "log.jsonl"
    before = log.stat().st_mtime_ns
    assert analyze("degradation", *NETWORKS, "optimizer.lr=0.01") == 0
    assert results(tmp_path / "out", "degradation") == results(trained, "degradation")
    assert log.stat().st_mtime_ns == before


def test_shortcuts(analyze: Analyze, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"A": 0.3, "B": 0.25, "C": 0.2, "none": 0.5}

    def fake_training(config: ClassificationRunConfig, device: str, how: How) -> SimpleNamespace:
        assert (device, how.resume) == ("cpu", True)
        folder = Path(config.output)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config_to_yaml(config))
        shutil.copy(trained / "cifar_plain8" / "log.jsonl", folder)
        error = errors[config.model.backbone.shortcut] + config.run.seed / 1000
        metrics = {"top1_error": error, "per_class": dict.fromkeys(CLASSES)}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        return SimpleNamespace(results=Results())

    monkeypatch.setattr(analyze_training, "train_config", fake_training)
    assert analyze("shortcuts", "--iterations", "2", "run.eval_every=2") == 0
    rows, conclusion = results(tmp_path / "out", "shortcuts")
    assert {row["shortcut"]: float(row["test_error"]) for row in rows} == errors
    parameters = [int(row["parameters"]) for row in rows]
    assert parameters[0] == parameters[3] < parameters[1] < parameters[2]
    assert conclusion == (
        "cifar_resnet8: test error by shortcut option, best first: C 20.00 %, B 25.00 %, A 30.00 %, none 50.00 %; "
        "of a single seed: how large the noise is, and so whether they differ, is unknown"
    )
    assert yaml.safe_load((tmp_path / "out" / "C" / "config.yaml").read_text())["run"]["eval_every"] == 2

    assert analyze("shortcuts", "--iterations", "2", "--seeds", "3", "run.eval_every=2", "run.seed=5") == 0
    rows, conclusion = results(tmp_path / "out", "shortcuts")
    assert [row["seed"] for row in rows] == ["5", "6", "7"] * 4
    assert "C 20.60 ± 0.06 %" in conclusion
    assert conclusion.endswith("A below none by more than the noise of the seeds")
    assert (tmp_path / "out" / "seed7" / "none" / "metrics.json").exists()


def test_norm(analyze: Analyze, tmp_path: Path) -> None:
    networks = ["--networks", "cifar_plain8", "cifar_resnet8", "--rates", "0.01", "1e6"]
    assert analyze("norm", *networks, "--iterations", "3", "--seeds", "2") == 0
    rows, conclusion = results(tmp_path / "out", "norm")
    assert [(row["network"], row["norm"], row["rate"], row["seed"]) for row in rows[:4]] == [
        ("cifar_plain8", norm, rate, "0") for norm in ("batch", "none") for rate in ("0.01", "1000000.0")
    ]
    assert len(rows) == 2 * 2 * (2 + 3)
    guesses = [float(row["first_loss"]) for row in rows if row["norm"] == "fixup"]
    assert guesses == pytest.approx([np.log(10)] * 4, rel=1e-6)
    assert "cifar_resnet8 without BN, with Fixup's start learns" in conclusion
    assert conclusion.endswith("(after 3 steps, 2 seeds, of the rates 0.01, 1e+06)")
    first = results(tmp_path / "out", "norm")
    assert analyze("norm", *networks, "--iterations", "3", "--seeds", "2") == 0
    assert results(tmp_path / "out", "norm") == first


def test_identity(analyze: Analyze, tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        assert analyze("identity", "--iterations", "2", "--seeds", "2", "optimizer.lr=0.01") == 0
        found.append(results(tmp_path / "out", "identity"))
    assert found[0] == found[1]
    rows, conclusion = found[0]
    assert len(rows) == 10 * 2
    assert [row["seed"] for row in rows] == ["0"] * 10 + ["1"] * 10
    assert "training loss after 2 steps, 2 seeds, best first: " in conclusion
    assert analyze("identity", "model.backbone.name=cifar_plain8") == 2


def test_gradients_before_and_after_training(analyze: Analyze, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "out")
    assert analyze("gradients", *NETWORKS, "--batches", "1", "optimizer.lr=0.01") == 0
    rows, conclusion = results(tmp_path / "out", "gradients")
    assert len(rows) == 2 * (7 + 13)
    assert list(dict.fromkeys((row["network"], row["moment"]) for row in rows)) == [
        ("cifar_plain8", "at the start"),
        ("cifar_resnet14", "at the start"),
        ("cifar_plain8", "after 4 iterations"),
        ("cifar_resnet14", "after 4 iterations"),
    ]
    assert "even in residual than in plain" in conclusion
    norms = [{row["norm"] for row in rows if row["moment"] == moment} for moment in ("at the start", "after 4 iterations")]
    assert not norms[0] & norms[1]

    saved = [str(trained / name / "model.safetensors") for name in ("cifar_plain8", "cifar_resnet14")]
    assert analyze("gradients", "--weights", *saved, "--batches", "1") == 0
    again, _ = results(tmp_path / "out", "gradients")
    assert [row["norm"] for row in again] == [row["norm"] for row in rows[20:]]
    assert {row["moment"] for row in again} == {"as saved"}


def test_responses_of_untrained_and_of_saved_networks(analyze: Analyze, weights: Callable[..., str], tmp_path: Path) -> None:
    names = ["cifar_plain8", "cifar_resnet14"]
    assert analyze("responses", "--networks", *names, "--images", "0") == 0
    rows, conclusion = results(tmp_path / "out", "responses")
    assert len(rows) == 7 + 13
    assert "than plain ones" in conclusion
    assert analyze("responses", "--networks", *names, "--weights", *map(weights, names), "--images", "5") == 0
    saved, _ = results(tmp_path / "out", "responses")
    assert [row["layer"] for row in saved] == [row["layer"] for row in rows]
    assert [row["deviation"] for row in saved] != [row["deviation"] for row in rows]


def test_lesion(analyze: Analyze, weights: Callable[..., str], tmp_path: Path) -> None:
    files = [weights("cifar_resnet14"), weights("cifar_plain14")]
    networks = ["--networks", "cifar_resnet14", "cifar_plain14"]
    assert analyze("lesion", "--weights", *files, *networks, "--images", "10", "--draws", "2") == 0
    rows, conclusion = results(tmp_path / "out", "lesion")
    kinds = [row["kind"] for row in rows if row["network"] == "cifar_resnet14"]
    assert kinds == ["intact"] + ["single"] * 6 + ["random"] * 4
    kinds = [row["kind"] for row in rows if row["network"] == "cifar_plain14"]
    assert kinds == ["intact"] + ["single"] * 4 + ["random"] * 4
    assert {round(10 * float(row["error"]), 6) % 1 for row in rows} == {0}  # tenths: of ten images
    assert conclusion.count("the loss of a block") == 2


def test_permutation_and_paths(analyze: Analyze, weights: Callable[..., str], tmp_path: Path) -> None:
    file = ["--weights", weights("cifar_resnet14"), "--networks", "cifar_resnet14"]
    assert analyze("permutation", *file, "--images", "10", "--draws", "2") == 0
    rows, conclusion = results(tmp_path / "out", "permutation")
    assert [row["swaps"] for row in rows] == ["0", "1", "1", "2", "2"]
    assert "after 1 swap of blocks" in conclusion
    assert analyze("paths", *file, "--images", "4", "--draws", "2") == 0
    rows, conclusion = results(tmp_path / "out", "paths")
    assert [row["paths"] for row in rows] == ["1", "6", "15", "20", "15", "6", "1"]
    assert conclusion.startswith("cifar_resnet14: 90 % of its 2^6 paths go through")
    assert analyze("paths", "--networks", "cifar_resnet8", "--images", "2") == 0


def test_diff(analyze: Analyze, weights: Callable[..., str], tmp_path: Path) -> None:
    networks, file = ["--networks", "cifar_resnet14", "cifar_resnet14"], weights("cifar_resnet14")
    other = shutil.copy(file, tmp_path / "other.pth")
    assert analyze("diff", "--weights", file, str(other), *networks) == 0
    rows, conclusion = results(tmp_path / "out", "diff")
    assert {row["given"] for row in rows} == {"0.0"}
    assert conclusion.startswith("the 27 layers give the same")


def test_the_start_is_that_of_the_seed(analyze: Analyze, tmp_path: Path) -> None:
    found = []
    for state, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(state)
        assert analyze("gradients", "--networks", "cifar_resnet8", "--batches", "1", f"run.seed={seed}") == 0
        found.append(results(tmp_path / "out", "gradients")[0])
    assert found[0] == found[1] != found[2]


def test_weights_of_other_classes(analyze: Analyze, weights: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze("lesion", "--weights", weights("cifar_resnet8", 7)) == 2
    assert "its classifier has 7 classes, the data has 10" in capsys.readouterr().err


def test_a_model_file_is_what_its_card_says(trained: Path, analyze: Analyze, tmp_path: Path, capsys: Any) -> None:
    file = str(trained / "cifar_resnet14" / "model.safetensors")
    found = []
    for networks in ([], ["--networks", "cifar_resnet14"]):
        assert analyze("responses", "--weights", file, *networks) == 0
        found.append(results(tmp_path / "out", "responses"))
    assert found[0] == found[1]
    assert analyze("responses", "--weights", file, "--networks", "cifar_resnet8") == 2
    assert "holds cifar_resnet14, --networks says cifar_resnet8" in capsys.readouterr().err
