"""``eval`` and ``predict`` of detectors: ensembles, shares, options of the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_detectors import SMALL, tiny_detector, written

import resdet
from resdet.cli import main

NAMES = ["box", "disk"]
TEST = {"score_thresh": 0.01}


@pytest.fixture
def folder(tiny_coco: Any, tmp_path: Path) -> Path:
    """A run file on six pictures and three detectors: two alike but for their weights, one with global context."""
    written(tmp_path / "a.safetensors", tiny_detector(1, NAMES), (48, 64))
    written(tmp_path / "b.safetensors", tiny_detector(2, NAMES), (48, 64))
    written(tmp_path / "c.safetensors", tiny_detector(3, NAMES, roi={"context": True}), (48, 64), roi={"context": True})
    written(tmp_path / "other.safetensors", tiny_detector(4, NAMES[::-1]), (48, 64))
    values = {
        "task": "detection",
        "model": {**SMALL, "test": TEST},
        "data": {
            "val": {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)},
            "test_short_side": 48,
            "max_side": 64,
            "workers": 0,
        },
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def evaluate(folder: Path, weights: str, *arguments: str) -> int:
    files = [str(folder / f"{name}.safetensors") for name in weights.split()]
    config = ["--config", str(folder / "run.yaml"), "--output", str(folder / "eval"), "--device", "cpu"]
    return main(["eval", *config, "--weights", *files, *arguments])


def results(folder: Path) -> tuple[dict, list]:
    return tuple(json.loads((folder / "eval" / name).read_text()) for name in ("metrics.json", "detections.json"))  # type: ignore[return-value]


def test_convolutions_in_16_bits(folder: Path) -> None:
    assert evaluate(folder, "a") == 0
    metrics, _ = results(folder)
    assert metrics["meta"]["precision"] == "fp32"
    assert evaluate(folder, "a b", "--precision", "bf16") == 0
    metrics, detections = results(folder)
    assert metrics["meta"]["precision"] == "bf16"
    assert len(detections) > 20
    weights, picture = str(folder / "a.safetensors"), str(folder / "tiny_coco" / "images" / "000001.png")
    (full,), (half,) = (predicted(folder, "--weights", weights, picture, "--precision", name) for name in ("fp32", "bf16"))
    assert len(half["detections"]) > 3
    assert full["detections"] != half["detections"]


def test_compiled_layers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **_: compiled.append(type(module).__name__))
    assert evaluate(folder, "a", "--compile") == 0
    assert sorted(compiled) == ["FoldedHead", "FoldedTrunk", "RPNHead"]
    plain = results(folder)[1]
    assert evaluate(folder, "a") == 0
    assert len(results(folder)[1]) == len(plain) > 20


def test_an_ensemble_of_copies_is_the_detector(folder: Path) -> None:
    assert evaluate(folder, "a") == 0
    metrics, detections = results(folder)
    assert len(detections) > 20
    assert metrics["meta"]["test"]["score_thresh"] == 0.01
    assert metrics["meta"]["shares"] == [1.0]
    assert evaluate(folder, "a a", "--shares", "1", "3") == 0
    again, same = results(folder)
    assert same == detections
    assert again["bbox"] == metrics["bbox"]
    assert again["meta"]["shares"] == [0.25, 0.75]
    assert again["meta"]["weights"] == [str(folder / "a.safetensors")] * 2


def test_shares_reach_the_mean(folder: Path) -> None:
    found = []
    for shares in ([], ["--shares", "9", "1"]):
        assert evaluate(folder, "a c", *shares) == 0
        found.append(results(folder)[1])
    assert found[0] != found[1]


def test_members_and_options_reach_the_networks(folder: Path) -> None:
    """The command's rows are those of the detector in Python, image by image."""
    options = {"refine": True, "short_sides": [32, 48], "vote_iou": 0.5, "nms_thresh": 0.3}
    arguments = [f"model.test.{name}={json.dumps(value)}" for name, value in options.items()]
    assert evaluate(folder, "a c", *arguments) == 0
    metrics, detections = results(folder)
    assert {name: metrics["meta"]["test"][name] for name in options} == options
    files = [folder / "a.safetensors", folder / "c.safetensors"]
    detector = resdet.load(files, device="cpu", test={**TEST, **options})
    pictures = folder / "tiny_coco" / "images"
    for image_id in range(1, 7):
        rows = [row for row in detections if row["image_id"] == image_id]
        found = detector.predict(pictures / f"{image_id:06d}.png")
        assert [row["score"] for row in rows] == pytest.approx(found.scores.tolist())
        assert [value for row in rows for value in row["bbox"][:2]] == pytest.approx(found.boxes[:, :2].flatten().tolist())
    assert len(detections) > 20


def test_what_is_free_at_test_time_holds_for_all_members(folder: Path) -> None:
    counts = []
    for options in ([], ["model.rpn.post_nms_top_n_test=1"], ["model.test.detections_per_image=3"]):
        assert evaluate(folder, "a b", *options) == 0
        _, detections = results(folder)
        counts.append(max(sum(row["image_id"] == image_id for row in detections) for image_id in range(1, 7)))
    free, one_region, three = counts
    assert 0 < one_region <= 4 < free  # a region of each of the two networks, two classes
    assert three == 3


@pytest.mark.parametrize(
    ("weights", "arguments", "message"),
    [
        ("a other", [], r"other.safetensors: class 0 is 'disk', but 'box' in "),
        ("a gone", [], r"gone.safetensors: no such model file"),
        ("a", ["--shares", "1", "2"], "--shares must be one number above 0 for each of 1 file, got 1 2"),
        ("a b", ["--shares", "1", "0"], "--shares must be one number above 0 for each of 2 files, got 1 0"),
        ("c", [], "was trained with 'model.roi.context' True, the config says False"),
        ("a", ["model.test.short_sides=[64,48]"], "option 'model.test.short_sides' must increase, got [64, 48]"),
        ("a", ["model.test.refin=true"], "unknown option 'model.test.refin' (did you mean 'refine'?)"),
    ],
)
def test_mistakes(folder: Path, weights: str, arguments: list, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, weights, *arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (folder / "eval").exists()


def test_predictions_are_a_classifier_s(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--config", str(folder / "run.yaml"), "--predictions", "x.npz"]) == 2
    assert "run.yaml: a detector is evaluated from --weights, got --predictions" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------------- predict


def predicted(folder: Path, *arguments: str) -> list[dict]:
    output = folder / "out"
    assert main(["predict", "--score-thresh", "0", "--output", str(output), "--device", "cpu", *arguments]) == 0
    return json.loads((output / "predictions.json").read_text())


def test_predict_with_several_weights_and_options_in_any_order(folder: Path) -> None:
    a, c = str(folder / "a.safetensors"), str(folder / "c.safetensors")
    photo = str(folder / "tiny_coco" / "images" / "000001.png")
    detector = resdet.load([a, c], device="cpu", test={"refine": True, "short_sides": [32, 64]})
    expected = detector.predict(photo)
    assert len(expected) > 0
    options = ["model.test.refine=true", "model.test.short_sides=[32, 64]"]
    for arguments in (
        ["--weights", a, c, photo, *options],
        [photo, *options, "--weights", a, c],
        [options[0], photo, "--weights", a, c, options[1]],
    ):
        (row,) = predicted(folder, *arguments)
        assert [found["score"] for found in row["detections"]] == expected.scores.tolist()
        assert [found["box"] for found in row["detections"]] == expected.boxes.tolist()
    (alone,) = predicted(folder, "--weights", a, photo)
    assert [found["score"] for found in alone["detections"]] != expected.scores.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.rpn.nms_thresh=0.5"], "argument 'model.rpn.nms_thresh=0.5': predict changes options of 'model.test' only"),
        (["lr=1"], "argument 'lr=1': predict changes options of 'model.test' only"),
        (["model.test.refin=1"], "model.test: unknown option 'refin' (did you mean 'refine'?)"),
        (["model.test.vote_iou=x"], "model.test: option 'vote_iou' must be a number, got 'x'"),
        (["model.test.soft_nms="], "model.test: option 'soft_nms' must be one of none, linear, gaussian, got ''"),
        (["model.test.short_sides=[64,32"], "model.test: option 'short_sides' must be a list of whole numbers"),
    ],
)
def test_mistakes_of_predict(folder: Path, arguments: list, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = folder / "tiny_coco" / "images" / "000001.png"
    assert main(["predict", "--weights", str(folder / "a.safetensors"), str(photo), "--device", "cpu", *arguments]) == 2
    assert message in capsys.readouterr().err
