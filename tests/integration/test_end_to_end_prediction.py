"""From finished runs to pictures with boxes on them: ``predict``, the same in Python, and ``info``."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import resdet
from resdet.cli import main
from resdet.data.synthetic.shapes import CLASS_NAMES
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector

# ----------------------------------------------------------------------------------------------------------- prediction


def test_predict_on_a_folder_and_a_video(detector_run: Path, shapes: Path, tmp_path: Path) -> None:
    folder = shapes / "images" / "val"
    frames = video(tmp_path / "clip.avi", sorted(folder.iterdir())[:2], copies=2)
    output = tmp_path / "out"
    weights = ["--weights", str(detector_run / "best.safetensors")]
    threshold = ["--score-thresh", "0.003"]
    assert main(["predict", *weights, *threshold, "--output", str(output), str(folder), str(tmp_path / "clip.avi")]) == 0

    rows = json.loads((output / "predictions.json").read_text())
    pictures = sorted(folder.iterdir())
    assert [row["file"] for row in rows] == [*map(str, pictures), *[str(tmp_path / "clip.avi")] * frames]
    assert [row["frame"] for row in rows[len(pictures) :]] == list(range(frames))
    for row in rows:
        for found in row["detections"]:
            assert set(found) == {"box", "score", "label", "name"}
            x1, y1, x2, y2 = found["box"]
            assert 0 <= x1 < x2 <= row["width"]
            assert 0 <= y1 < y2 <= row["height"]
            assert 0.003 <= found["score"] <= 1
            assert found["name"] == CLASS_NAMES[found["label"]]
    assert sum(len(row["detections"]) for row in rows) > 0
    for picture, row in zip(pictures, rows, strict=False):
        with Image.open(picture) as source, Image.open(output / picture.name) as annotated:
            assert annotated.size == source.size == (row["width"], row["height"])
            assert annotated.format == source.format
    capture = cv2.VideoCapture(str(output / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == frames
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (
        rows[-1]["width"],
        rows[-1]["height"],
    )
    capture.release()
    assert {path.name for path in output.iterdir()} == {"predictions.json", "clip.mp4", *(path.name for path in pictures)}


def test_predict_on_other_formats_and_equal_names(detector_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.new("L", (50, 40), 90).save(tmp_path / "a" / "x.png")
    Image.new("RGBA", (40, 50), (9, 9, 9, 0)).save(tmp_path / "b" / "x.png")
    Image.new("P", (44, 33)).save(tmp_path / "b" / "x.gif")
    pattern = str(tmp_path / "?" / "*")
    assert (
        main(["predict", "--weights", str(detector_run / "model.safetensors"), "--output", str(tmp_path / "out"), pattern]) == 0
    )
    out = tmp_path / "out"
    sizes = {path.relative_to(out).as_posix(): Image.open(path).size for path in out.rglob("*.png")}
    assert sizes == {"a/x.png": (50, 40), "b/x.png": (44, 33), "b/x_2.png": (40, 50)}


def test_predict_names_pictures(classifier_run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shapes / "crops" / "val" / "disk"
    weights = str(classifier_run / "model.safetensors")
    assert main(["predict", "--weights", weights, "--output", str(tmp_path), str(folder)]) == 0
    rows = json.loads((tmp_path / "predictions.json").read_text())
    assert [row["file"] for row in rows] == sorted(map(str, folder.iterdir()))
    for row in rows:
        scores = [best["score"] for best in row["classes"]]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        assert {best["name"] for best in row["classes"]} <= set(CLASS_NAMES)
    assert f"{rows[0]['file']}: {rows[0]['classes'][0]['name']}" in capsys.readouterr().out


# ----------------------------------------------------------------------------------------------------------- Python API


def test_a_path_an_image_an_array_and_a_list_give_the_same(detector_run: Path, shapes: Path) -> None:
    detector = resdet.load(str(detector_run / "model.safetensors"))
    assert isinstance(detector, Detector)
    path = shapes / "images" / "val" / "000001.jpg"
    image = Image.open(path)
    results = [detector.predict(source) for source in (path, str(path), image, np.asarray(image))]
    results += detector.predict([path, image])
    assert all(torch.equal(found.boxes, results[0].boxes) for found in results)
    assert [found.image_id for found in results] == [str(path), str(path), 0, 0, str(path), 0]
    some = detector.predict(path, score_thresh=float(results[0].scores.median()))
    assert 0 < len(some) <= len(results[0])


def test_drawing_detections(detector_run: Path, shapes: Path) -> None:
    image = Image.open(shapes / "images" / "val" / "000001.jpg")
    found = resdet.Detections(
        torch.tensor([[10.0, 20.0, 60.0, 50.0]]), torch.tensor([0.9]), torch.tensor([0]), (image.height, image.width), ["disk"]
    )
    picture = found.draw(image)
    assert picture.size == image.size
    changed = np.abs(np.asarray(picture, dtype=int) - np.asarray(image, dtype=int)).sum(2) > 100
    assert changed[20, 30:60].all() or changed[21, 30:60].all()  # the upper edge
    assert not changed[30:45, 20:55].any()  # the inside


def test_coco_rows_and_back() -> None:
    boxes = torch.tensor([[1.25, 2.5, 30.125, 40.0], [0.0, 0.0, 96.0, 72.0]])
    found = resdet.Detections(boxes, torch.tensor([0.75, 0.5]), torch.tensor([1, 0]), (72, 96), ("box", "disk"), 6)
    rows = json.loads(json.dumps(found.to_coco([1, 7])))
    assert [(row["image_id"], row["category_id"], row["score"]) for row in rows] == [(6, 7, 0.75), (6, 1, 0.5)]
    xywh = torch.tensor([row["bbox"] for row in rows])
    assert torch.equal(torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1), boxes)
    assert [row["category_id"] for row in found.to_coco()] == [2, 1]


def test_classifier_in_python(classifier_run: Path, shapes: Path) -> None:
    classifier = resdet.load(classifier_run / "model.safetensors")
    assert isinstance(classifier, ImageClassifier)
    assert classifier.names == tuple(sorted(CLASS_NAMES))
    best = classifier.predict(shapes / "crops" / "val" / "ring" / "000001.jpg", top=100)
    assert {name for name, _ in best} == set(CLASS_NAMES)
    assert math.fsum(score for _, score in best) == pytest.approx(1)


# ----------------------------------------------------------------------------------------------------------------- info


def test_info_about_model_files(classifier_run: Path, detector_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run, task in ((classifier_run, "classification"), (detector_run, "detection")):
        assert main(["info", "--weights", str(run / "model.safetensors")]) == 0
        text = capsys.readouterr().out
        assert task in text
        assert "crescent" in text
        assert "resnet18" in text


# -------------------------------------------------------------------------------------------------------------- helpers


def video(path: Path, pictures: list[Path], copies: int) -> int:
    """Write a Motion JPEG video of pictures, all as large as the first; returns the number of frames."""
    first = cv2.imread(str(pictures[0]))
    height, width = first.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        frame = cv2.resize(cv2.imread(str(picture)), (width, height))
        for _ in range(copies):
            writer.write(frame)
    writer.release()
    return len(pictures) * copies
