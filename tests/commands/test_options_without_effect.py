"""An option that says nothing beside the others is refused, or a line tells of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_classifiers import written as written_classifier
from tiny_detectors import tiny_detector
from tiny_detectors import written as written_detector
from videos import written_video

from resdet.cli import main

PIXELS = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


@pytest.fixture
def detector(tmp_path: Path) -> str:
    return str(written_detector(tmp_path / "d.safetensors", tiny_detector()))


@pytest.fixture
def classifier(tmp_path: Path) -> str:
    return str(written_classifier(tmp_path / "c.safetensors"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--overlap 0.3", "--overlap is that of the windows of --tile, and there is no --tile; got --overlap 0.3"),
        ("--overlap 0.2", "--overlap is that of the windows of --tile"),  # also where it is the default
        ("--timeout 5", "--timeout goes with --devices: one process waits for no other, got 5"),
    ],
)
def test_predict(options: str, problem: str, detector: str, picture: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["predict", "--weights", detector, picture, "--output", str(out), *options.split()]) == 2
    assert problem in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--score-thresh 0.5 --tile 64 --overlap 0.2", "--score-thresh, --tile, --overlap: for detectors"),
        ("--every 1", "--every: for detectors"),
        ("--format pictures,json", "--format pictures: for detectors; of a classifier predictions.json is written"),
        ("--format pictures", "--format pictures: for detectors"),
    ],
)
def test_predict_with_a_classifier(options: str, problem: str, classifier: str, picture: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["predict", "--weights", classifier, picture, "--output", str(out), *options.split()]) == 2
    assert problem in capsys.readouterr().err
    assert not out.exists()


def test_notes_of_predict(detector: str, picture: str, tmp_path: Path, capsys) -> None:
    command = ["predict", "--weights", detector, "--output", str(tmp_path / "out"), "--format", "json", picture]
    every, most = "note: --every is for videos and cameras, and there is none", "note: the model gives at most 100 objects"
    assert main([*command, "--every", "2", "--max-det", "101"]) == 0
    told = capsys.readouterr().err
    assert every in told
    assert f"{most} of a picture; model.test.detections_per_image=101 would give more" in told
    written_video(tmp_path / "v.avi", [PIXELS, PIXELS])
    assert main([*command, str(tmp_path / "v.avi"), "--every", "2", "--max-det", "100"]) == 0
    assert main([*command, "--max-det", "200", "model.test.detections_per_image=200"]) == 0
    assert main([*command, "--max-det", "200", "--tile", "64"]) == 0  # the limit is that of a window
    told = capsys.readouterr().err
    assert every not in told
    assert most not in told


RESULTS = "--ground-truth t.json --detections d.json"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (f"{RESULTS} --device cuda --runtime torch", "--device, --runtime: have no effect on results files: leave out"),
        (f"{RESULTS} --devices 2", "--devices: has no effect on results files"),
        (f"{RESULTS} --constant-box", "--constant-box: has no effect on results files"),
        (f"{RESULTS} --metric voc07 --evaluator hotcoco", "--evaluator computes COCO's numbers, got --metric voc07"),
        ("--config RUN --metric voc07", "--metric is for results files: a config says it, data.metric=voc07"),
        ("--config imagenet_r50 --evaluator hotcoco", "--evaluator goes with a detection config, 'task' is classification"),
        (
            "--config imagenet_r50 --predictions a.npz --runtime torch --device cpu",
            "--device, --runtime: have no effect on --predictions: leave out",
        ),
    ],
)
def test_eval(arguments: str, problem: str, config: Path, capsys) -> None:
    assert main(["eval", *arguments.replace("RUN", str(config)).split()]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("action", ["check", "view", "stats", "fix --output out"])
def test_data(action: str, config: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["data", *action.split()]
    path = str(shapes)
    assert main([*data, path, "--root", "x", "--split", "val"]) == 2
    assert main([*data, "--config", str(config), "--annotations", "x", "--images", "y"]) == 2
    assert main([*data, path, "data.short_side=[64]"]) == 2
    assert main([*data, path, path]) == 2
    told = capsys.readouterr().err
    assert f"--root, --split: with --format alone; {path} says it by itself" in told
    assert f"--annotations, --images: with --format alone; {config} says it by itself" in told
    assert "key=value arguments change a run file, and there is none; got data.short_side=[64]" in told
    assert "or the path of your data" in told
    assert not list(tmp_path.glob("out*"))


def test_train_cls(capsys) -> None:
    assert main(["train-cls", "--config", "imagenet_r50", "--recompute-bn", "--resume"]) == 2
    assert "--recompute-bn does not train, and --resume goes on training: give one of them" in capsys.readouterr().err
