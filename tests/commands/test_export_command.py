"""The command, and ``predict`` and ``eval`` of what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_classifiers
import tiny_localizers
import yaml
from tiny_detectors import SMALL, picture, tiny_detector, written

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from PIL import Image

from resdet.cli import main

NAMES = ["box", "disk"]


@pytest.fixture
def folder(tiny_coco: Any, tmp_path: Path) -> Path:
    """A run file on six pictures, and a detector."""
    written(tmp_path / "model.safetensors", tiny_detector(1, NAMES), (48, 64))
    values = {
        "task": "detection",
        "model": SMALL,
        "data": {
            "val": {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)},
            "test_short_side": 48,
            "max_side": 64,
            "workers": 0,
        },
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def exported(folder: Path, *options: str, suffix: str = ".onnx") -> Path:
    target = folder / f"model{suffix}"
    assert main(["export", str(folder / "model.safetensors"), str(target), *options]) == 0
    return target


def evaluated(folder: Path, weights: Path, *options: str) -> Any:
    arguments = ["eval", "--config", str(folder / "run.yaml"), "--output", str(folder / "eval"), "--weights", str(weights)]
    assert main([*arguments, *options]) == 0
    return json.loads((folder / "eval" / "metrics.json").read_text())


def test_a_table_of_how_it_did(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = exported(folder, "--images", str(folder / "tiny_coco" / "images"), "model.test.score_thresh=0.3")
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"written       {target}, {target.stat().st_size / 1e6:.1f} MB, fp32"
    assert lines[1] == "tried on      6 pictures"
    assert lines[-1] == "box           0.00 pixels other at most, 0.00 on average"
    assert main(["export", str(folder / "model.safetensors"), str(folder / "b.onnx"), "run.batch=2"]) == 2
    assert "argument 'run.batch=2': export changes options of 'model.test' only" in capfd.readouterr().err


def test_info_says_what_the_file_is(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = exported(folder, "--precision", "fp16", "--json")
    assert json.loads(capfd.readouterr().out)["tried on"] == "5 pictures"
    assert main(["info", "--weights", str(target)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert (lines[0], lines[2]) == (f"file          {target}", "exported      fp16, takes resized pictures")
    assert "names         ['box', 'disk']" in lines
    assert main(["info", "--weights", str(target), "--images", str(folder)]) == 2
    assert "is an exported file, which says it" in capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_predict_and_eval_of_a_detector(folder: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino" if suffix == ".xml" else "onnxruntime")
    target = exported(folder, suffix=suffix)
    expected, found = (evaluated(folder, path) for path in (folder / "model.safetensors", target))
    assert found["bbox"] == pytest.approx(expected["bbox"], abs=1e-3)
    photo = str(folder / "tiny_coco" / "images" / "000001.png")
    rows = []
    for weights in (folder / "model.safetensors", target):
        output = folder / f"out{weights.suffix}"
        assert main(["predict", "--weights", str(weights), photo, "--output", str(output), "--score-thresh", "0.2"]) == 0
        rows.append(json.loads((output / "predictions.json").read_text())[0]["detections"])
    assert len(rows[0]) == len(rows[1]) > 0
    for one, other in zip(*rows, strict=True):
        assert one["box"] == pytest.approx(other["box"], abs=0.01)
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_predict_in_another_size(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo, output = str(folder / "tiny_coco" / "images" / "000001.png"), str(folder / "out")
    asked = [
        "predict",
        "--weights",
        str(exported(folder)),
        photo,
        "--output",
        output,
        "--short-side",
        "40",
        "--score-thresh",
        "0",
    ]
    assert main(asked) == 0
    assert "note: the model gives no scores below 0.05" in capfd.readouterr().err
    exported(folder, "--resize")
    assert main(asked) == 2
    assert "model.onnx: was exported with --resize and resizes by itself, got --short-side" in capfd.readouterr().err


def test_eval_refuses_what_the_file_does_not_do(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = exported(folder)
    arguments = ["eval", "--config", str(folder / "run.yaml"), "--output", str(folder / "eval"), "--weights", str(target)]
    assert main([*arguments, "model.test.score_thresh=0.2", "model.test.flip=true"]) == 2
    told = capfd.readouterr().err
    assert "was exported with 'model.test.score_thresh' 0.05, the config says 0.2" in told
    assert "was exported with 'model.test.flip' False, the config says True" in told
    assert main([*arguments, "model.test.flip=true", "data.val.proposals=regions.npz"]) == 2
    told = capfd.readouterr().err  # all that is wrong at once
    assert "was exported with 'model.test.flip' False" in told
    assert "an exported detector proposes by itself" in told
    assert main([*arguments, "model.backbone.width=16"]) == 2
    assert "was trained with 'model.backbone.width' 8, the config says 16" in capfd.readouterr().err
    for files in ([str(folder / "model.safetensors")], ["--weights", str(folder / "model.safetensors"), str(target)]):
        assert main([*arguments, *files]) == 2
        assert "model.onnx: an exported file runs alone" in capfd.readouterr().err
    assert main([*arguments, "--precision", "bf16"]) == 2
    assert "computes as it was exported" in capfd.readouterr().err


def test_eval_of_a_file_that_resizes_in_another_size(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = exported(folder, "--resize")
    arguments = ["eval", "--config", str(folder / "run.yaml"), "--output", str(folder / "eval"), "--weights", str(target)]
    assert main([*arguments, "data.test_short_side=40", "data.max_side=60"]) == 2
    told = capfd.readouterr().err
    assert "model.onnx: was exported with 'data.test_short_side' 48, the config says 40" in told
    assert "model.onnx: was exported with 'data.max_side' 64, the config says 60" in told
    assert main(arguments) == 0


def test_eval_of_a_localizer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "val" / "images").mkdir(parents=True)
    (tmp_path / "wnids.txt").write_text("\n".join(tiny_localizers.NAMES))
    lines = []
    for number, name in enumerate(tiny_localizers.NAMES):
        Image.fromarray(picture(number).permute(1, 2, 0).numpy()).save(tmp_path / "val" / "images" / f"{number}.png")
        lines.append(f"{number}.png {name} 0 0 63 47\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    tiny_localizers.written(tmp_path / "model.safetensors", tiny_localizers.tiny_rpn(), test={"short_sides": [64]})
    values = {
        "task": "localization",
        "model": {**tiny_localizers.SMALL, "test": {"short_sides": [64]}},
        "data": {"val": {"format": "tiny_imagenet", "root": str(tmp_path), "split": "val"}, "crop": 64, "workers": 0},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    target = exported(tmp_path)
    expected, found = (evaluated(tmp_path, path) for path in (tmp_path / "model.safetensors", target))
    assert found["gt_class_loc_error"] == expected["gt_class_loc_error"]
    assert found["mean_iou"] == pytest.approx(expected["mean_iou"], abs=1e-4)
    capfd.readouterr()
    arguments = ["eval", "--config", str(tmp_path / "run.yaml"), "--output", str(tmp_path / "eval"), "--weights", str(target)]
    assert main([*arguments, "model.test.short_sides=[40]", "data.crop=48"]) == 2
    told = capfd.readouterr().err
    assert "model.onnx: was exported with 'model.test.short_sides' [64], the config says [40]" in told
    assert "model.onnx: was exported with 'data.crop' 64, the config says 48" in told
    assert main([*arguments, "model.backbone.width=16"]) == 2
    assert "was trained with 'model.backbone.width' 8, the config says 16" in capfd.readouterr().err


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Six pictures of three classes in folders, a classifier, and its run file."""
    for number, name in enumerate(tiny_classifiers.NAMES * 2):
        path = tmp_path / "data" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number, 50, 60).permute(1, 2, 0).numpy()).save(path)
    tiny_classifiers.written(tmp_path / "model.safetensors")
    values = {
        "task": "classification",
        "model": {"backbone": {"name": "resnet18", "width": 4}},
        "data": {"val": {"format": "folder", "root": str(tmp_path / "data")}, "test_short_side": 40, "crop": 32, "workers": 0},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def test_predict_and_eval_of_a_classifier(squares: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = exported(squares)
    for options in ([], ["test.views=ten_crop"]):
        expected, found = (evaluated(squares, path, *options) for path in (squares / "model.safetensors", target))
        assert {**found["meta"], "models": 0} == {**expected["meta"], "models": 0}
        assert found["meta"]["models"] == ["resnet18"]
        for name in ("top1_error", "ece", "nll"):
            assert found[name] == pytest.approx(expected[name], abs=1e-4)
    arguments = ["eval", "--config", str(squares / "run.yaml"), "--output", str(squares / "eval"), "--weights", str(target)]
    assert main([*arguments, "test.views=dense"]) == 2
    assert "an exported classifier takes crops, 'test.views' must not be dense" in capfd.readouterr().err
    exported(squares, "--resize")
    assert main(arguments) == 2
    assert "was exported with --resize" in capfd.readouterr().err
    photo = str(squares / "data" / "cat" / "0.png")
    assert main(["predict", "--weights", str(target), photo, "--output", str(squares / "out")]) == 0
    assert f"{photo}: " in capfd.readouterr().out


def test_a_localizer_is_told_classes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny_localizers.written(tmp_path / "model.safetensors", tiny_localizers.tiny_rpn())
    target = exported(tmp_path)
    Image.fromarray(picture(0).permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    assert main(["predict", "--weights", str(target), str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]) == 2
    assert "holds a localizer, which must be told the classes" in capfd.readouterr().err
