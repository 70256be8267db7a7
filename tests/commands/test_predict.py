"""The whole command: what it prints and writes, for detectors and for classifiers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_classifiers import written as written_classifier
from tiny_detectors import picture, tiny_detector
from tiny_detectors import written as written_detector
from tiny_localizers import tiny_rpn
from tiny_localizers import written as written_localizer
from videos import written_video

import resdet
from resdet.cli import main


def pixels(seed: int) -> np.ndarray:
    return picture(seed).permute(1, 2, 0).numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture, a broken one, a video of two frames, a grey picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(pixels(0)).save(folder / "a.png")
    (folder / "b.jpg").write_bytes(b"hello")
    written_video(folder / "c.avi", [pixels(1), pixels(2)])
    Image.fromarray(pixels(3)).convert("L").save(folder / "d.webp", lossless=True)
    return folder


def predict(weights: Path, folder: Path, output: Path, *more: str) -> int:
    arguments = ["--weights", str(weights), "--output", str(output), "--device", "cpu", str(folder), *more]
    return main(["predict", *arguments])


def test_a_detector_draws_and_lists(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = written_detector(tmp_path / "m.safetensors", tiny_detector())
    assert predict(weights, folder, tmp_path / "out", "--score-thresh", "0.3") == 3
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [Path(row["file"]).name for row in rows] == ["a.png", "c.avi", "c.avi", "d.webp"]
    assert [row.get("frame") for row in rows] == [None, 0, 1, None]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "c.mp4", "d.png", "predictions.json"}
    printed = capfd.readouterr()
    found = resdet.load_detector(weights, device="cpu").predict(folder / "a.png", score_thresh=0.3)
    assert rows[0]["detections"] == [{**row._asdict(), "box": list(row.box)} for row in found]
    assert len(found) > 0
    with Image.open(tmp_path / "out" / "a.png") as drawn:
        assert np.array_equal(np.asarray(drawn), np.asarray(found.draw()))
    assert f"{folder / 'a.png'}: {found.summary()}\n{folder / 'c.avi'}: 2 frames\n{folder / 'd.webp'}: " in printed.out
    assert f"3 of 4 files done, written: {tmp_path / 'out'}" in printed.err
    assert f"error: {folder / 'b.jpg'}: cannot be read as an image" in printed.err


def test_a_classifier_names_pictures_and_frames(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = written_classifier(tmp_path / "m.safetensors")
    assert predict(weights, folder, tmp_path / "out") == 3
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [(Path(row["file"]).name, row.get("frame")) for row in rows] == [
        ("a.png", None),
        ("c.avi", 0),
        ("c.avi", 1),
        ("d.webp", None),
    ]
    assert [set(best) for row in rows for best in row["classes"]] == [{"name", "score"}] * 12
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"predictions.json"}
    printed = capfd.readouterr()
    best = rows[0]["classes"][0]
    assert printed.out.splitlines()[0] == f"{folder / 'a.png'}: {best['name']} {best['score']:.3f}"
    assert "3 of 4 files done" in printed.err
    assert f"error: {folder / 'b.jpg'}: cannot be read as an image" in printed.err


def test_a_localizer_must_be_told_the_classes(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = written_localizer(tmp_path / "m.safetensors", tiny_rpn())
    assert predict(weights, folder, tmp_path / "out") == 2
    assert "m.safetensors: holds a localizer, which must be told the classes; `resdet eval` does" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_json_is_what_the_file_holds_also_where_a_file_is_broken(folder: Path, tmp_path: Path, capsys) -> None:
    weights = written_detector(tmp_path / "m.safetensors", tiny_detector())
    assert predict(weights, folder, tmp_path / "out", "--score-thresh", "0.3", "--format", "json", "--json") == 3
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(rows) == 4
    assert json.loads(capsys.readouterr().out) == {"predictions": rows}


def test_a_mistyped_class_leaves_what_was_written_before(folder: Path, tmp_path: Path, capsys) -> None:
    weights = written_detector(tmp_path / "m.safetensors", tiny_detector())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.json").write_text("of yesterday")
    known = resdet.load_detector(weights, device="cpu").names[0]
    assert predict(weights, folder, tmp_path / "out", "--classes", f"{known},{known}x") == 2
    assert f"--classes: unknown class '{known}x' (did you mean '{known}'?)" in capsys.readouterr().err
    assert (tmp_path / "out" / "predictions.json").read_text() == "of yesterday"


def test_a_classifier_refuses_what_only_detectors_know(folder: Path, tmp_path: Path, capsys) -> None:
    weights = written_classifier(tmp_path / "m.safetensors")
    given = ("--max-det", "1", "--imgsz", "64", "--every", "2", "--score-thresh", "0.9", "--tile", "64", "--overlap", "0.3")
    assert predict(weights, folder, tmp_path / "out", *given) == 2
    refused = "--score-thresh, --max-det, --short-side, --tile, --overlap, --every"
    assert f"{refused}: for detectors; {weights} holds a classifier" in capsys.readouterr().err
