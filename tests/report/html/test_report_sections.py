"""The sections of detectors, classifiers and localizers: numbers by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.diagnosis import diagnose
from resdet.evaluation.ground_truth import GroundTruth
from resdet.evaluation.localization import Guesses, Localization, localization_hits, localization_metrics
from resdet.evaluation.predictions import Predictions
from resdet.report.html import classification, detection, localization
from resdet.report.html.blocks import Charts, Matrix, Section, Table
from resdet.report.html.detection_gallery import errors_of_images, size_of
from resdet.report.html.suspicions import suspicion_rows, suspicions
from resdet.report.localization import write_localizations

# of two images: a cat and a dog on the first, a dog on the second, 20 x 20 pixels each
TRUTH = GroundTruth.from_dict(
    {
        "images": [{"id": 5, "width": 100, "height": 100}, {"id": 9, "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}],
        "annotations": [
            {"id": 11, "image_id": 5, "category_id": 1, "bbox": [0, 0, 20, 20]},
            {"id": 12, "image_id": 5, "category_id": 4, "bbox": [50, 50, 20, 20]},
            {"id": 13, "image_id": 9, "category_id": 4, "bbox": [10, 10, 20, 20]},
        ],
    }
)
FOUND = DetectionColumns(
    image=np.array([0, 0, 1, 1]),
    category=np.array([0, 0, 1, 0]),
    boxes=np.array([[0, 0, 20, 20], [50, 50, 20, 20], [10, 10, 20, 20], [70, 70, 10, 10]], float),
    scores=np.array([0.9, 0.8, 0.7, 0.6]),
)
DIAGNOSIS = diagnose(TRUTH, FOUND)
CURVES = detection.class_curves(TRUTH, FOUND, DIAGNOSIS)


def tables(section: Section) -> dict[str, list]:
    return {block.caption: [list(row) for row in block.rows] for block in section.blocks if isinstance(block, Table)}


def test_the_best_score_of_each_class_and_what_it_costs() -> None:
    (rows,) = tables(detection.threshold_section(DIAGNOSIS, CURVES)).values()
    # all: right 1, wrong 1, right 1, wrong 1 of 3 objects: F1 is 2/4, 2/5, 4/6, 4/7
    assert rows[0] == ["all classes", 0.7, 4 / 6, 2 / 3, 2 / 3, 2, 1, 1]
    assert rows[1] == ["cat", 0.9, 1.0, 1.0, 1.0, 1, 0, 0]
    assert rows[2] == ["dog", 0.7, 2 / 3, 1.0, 0.5, 1, 0, 1]
    assert DIAGNOSIS.score == 0.7
    numbers = {each.label: each for each in detection.counted_numbers(TRUTH, CURVES, DIAGNOSIS)}
    assert (numbers["precision there"].value, numbers["recall there"].value) == ("0.667", "0.667")
    assert (numbers["precision there"].note, numbers["recall there"].note) == ("1 detection is wrong", "1 object is missed")


def test_ap_by_class_and_size() -> None:
    (rows,) = tables(detection.ap_section(TRUTH, DIAGNOSIS, CURVES)).values()
    cat, dog = rows
    assert cat[:6] == ["cat", 1, 3, *[pytest.approx(1.0)] * 3]
    # the dog at recall 1/2: 51 of 101 recalls have precision 1
    assert dog[:6] == ["dog", 2, 1, pytest.approx(51 / 101), pytest.approx(51 / 101), pytest.approx(51 / 101)]
    assert dog[6] == pytest.approx(51 / 101)
    assert all(math.isnan(value) for row in rows for value in row[7:])


def test_confusion_and_errors() -> None:
    section = detection.confusion_section(TRUTH.names, DIAGNOSIS)
    (matrix,) = [block for block in section.blocks if isinstance(block, Matrix)]
    assert matrix.counts == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]  # at 0.7 the detection at 0.6 is not there
    assert tables(section)["The commonest confusions"] == [["dog → cat", 1]]
    rows = {row[0]: row[1:3] for row in tables(detection.error_section(DIAGNOSIS))["Kinds of errors"]}
    assert {name: count for name, (_, count) in rows.items()} == dict(DIAGNOSIS.counts)
    assert rows["class"] == [pytest.approx(1 - (1 + 51 / 101) / 2), 1]


def test_the_curves_of_the_page_are_those_of_the_counts() -> None:
    charts = next(block for block in detection.threshold_section(DIAGNOSIS, CURVES).blocks if isinstance(block, Charts))
    view = charts.charts[1].views["dog"]
    assert (view.mark, view.mark_text) == (0.7, "F1 0.67 at 0.70")
    lines = {line.name: dict(zip(line.x, line.y, strict=True)) for line in view.lines}
    assert (lines["recall"][0.7], lines["recall"][0.71]) == (0.5, 0.0)
    assert lines["precision"][0.5] == 1.0
    assert math.isnan(lines["precision"][0.8])


def test_errors_of_images() -> None:
    assert errors_of_images(TRUTH, FOUND, DIAGNOSIS).tolist() == [2, 0]
    assert [size_of(area) for area in (1, 1024, 1025, 9216, 9217)] == [0, 0, 1, 1, 2]


def test_suspicions() -> None:
    extra = DetectionColumns(
        np.append(FOUND.image, 1),
        np.append(FOUND.category, 1),
        np.vstack([FOUND.boxes, [80, 5, 9, 8]]),
        np.append(FOUND.scores, 0.95),
    )
    listed = suspicions(TRUTH, extra, diagnose(TRUTH, extra))
    rows = suspicion_rows(listed, TRUTH, ["a.jpg", "b.jpg"], np.array([11, 12, 13]))
    kinds = [(row["kind"], row["file"], row["category"], row["annotated"], row["annotation_id"], row["score"]) for row in rows]
    assert kinds == [("no box", "b.jpg", "dog", None, None, 0.95), ("another class", "a.jpg", "cat", "dog", 12, 0.8)]
    assert json.loads(json.dumps(rows))[0]["bbox"] == [80, 5, 9, 8]
    nothing = DetectionColumns(*(column[:0] for column in (FOUND.image, FOUND.category, FOUND.boxes, FOUND.scores)))
    lost = suspicions(TRUTH, nothing, diagnose(TRUTH, nothing))
    assert [(each.kind, each.object) for each in lost] == [("never found", 0), ("never found", 1), ("never found", 2)]


def test_a_set_without_detections_has_all_sections() -> None:
    nothing = DetectionColumns(*(column[:0] for column in (FOUND.image, FOUND.category, FOUND.boxes, FOUND.scores)))
    diagnosis = diagnose(TRUTH, nothing)
    curves = detection.class_curves(TRUTH, nothing, diagnosis)
    (rows,) = tables(detection.threshold_section(diagnosis, curves)).values()
    assert rows[0] == ["all classes", None, None, None, None, 0, None, 3]
    assert detection.ap_section(TRUTH, diagnosis, curves).blocks
    assert detection.calibration_section(diagnosis).blocks


# ------------------------------------------------------------------------------------------------------- classification

PREDICTIONS = Predictions(
    np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]], np.float32),
    np.array([0, 1, 1, 2]),
    ("cat", "dog", "emu"),
    ("a.png", "b.png", "c.png", "d.png"),
)


def test_classes_of_a_classifier_are_scikit_learn_s() -> None:
    classes, confusion, _ = classification.classification_sections(PREDICTIONS)
    (rows,) = tables(classes).values()
    assert rows[0] == ["cat", 1, 0.0, 1.0, 0.5, pytest.approx(2 / 3)]
    assert rows[1] == ["dog", 2, 0.5, 0.5, 0.5, 0.5]
    assert rows[2] == ["emu", 1, 1.0, 0.0, None, 0.0]
    (matrix,) = [block for block in confusion.blocks if isinstance(block, Matrix)]
    assert matrix.counts == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    said = PREDICTIONS.probabilities.argmax(1)
    precision, recall, f1, images = metrics.precision_recall_fscore_support(PREDICTIONS.labels, said, zero_division=0)
    assert [row[1] for row in rows] == images.tolist()
    assert [row[3] for row in rows] == recall.tolist()
    assert [row[4] or 0 for row in rows] == precision.tolist()
    assert [row[5] for row in rows] == pytest.approx(f1.tolist())
    assert matrix.counts == metrics.confusion_matrix(PREDICTIONS.labels, said).tolist()


def test_the_gallery_of_a_classifier(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    gallery = classification.classification_gallery(
        PREDICTIONS, lambda index: tmp_path / PREDICTIONS.files[index], lambda index: Image.new("RGB", (8, 8)), tmp_path
    )
    first, second, *_ = gallery.pictures
    assert (first.name, first.link, first.width, first.height) == ("a.png", "a.png", 40, 20)
    assert (second.link, second.width) == ("", 8)  # what is no file is loaded
    assert [each.found[0].kind for each in gallery.pictures] == [0, 1, 0, 1]
    assert [each.truth[0].found_at is None for each in gallery.pictures] == [False, True, False, True]
    assert second.found[0].score == pytest.approx(0.6)


# --------------------------------------------------------------------------------------------------------- localization


class Boxes:
    """Three images of 40 x 40 with a box each; the last one's class is not known."""

    names = ("ant", "bee")
    labels = np.array([0, 1, -1])

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return 3

    def path(self, index: int) -> Path:
        return self.folder / f"{index}.png"

    def load(self, index: int) -> Image.Image:
        return Image.new("RGB", (40, 40))

    def boxes(self, index: int) -> torch.Tensor:
        return torch.tensor([[0.0, 0.0, 20.0, 20.0]]) if index < 2 else torch.zeros(0, 4)


def test_localizations(tmp_path: Path) -> None:
    right, low = torch.tensor([0.0, 0.0, 20.0, 20.0]), torch.tensor([0.0, 0.0, 20.0, 8.0])
    guesses = Guesses(torch.tensor([0, 1]), torch.stack([right, right]), torch.tensor([0.6, 0.4]), torch.tensor([1.0, 2.0]))
    found = [Localization(guesses, low, 0.5), Localization(guesses, right, 0.5), Localization(guesses)]
    boxes: Any = Boxes(tmp_path)
    write_localizations(tmp_path / "p.json", ["0.png", "1.png", "2.png"], found, boxes.names)
    again = localization.read_localizations(tmp_path / "p.json", boxes.names, 3)
    truth = [boxes.boxes(index) for index in range(3)]
    metrics = localization_metrics(again, boxes.labels.tolist(), truth, boxes.names)
    assert metrics == localization_metrics(found, boxes.labels.tolist(), truth, boxes.names)
    hits = localization_hits(again, boxes.labels.tolist(), truth)
    sections = {section.name: section for section in localization.localization_sections(metrics, hits)}
    assert tables(sections["Errors"])["Shares of the images by their error"] == [
        ["first guess", 0.5, 0.0],
        ["first 5 guesses", 0.0, 0.0],
    ]
    (charts,) = [block for block in sections["IoU"].blocks if isinstance(block, Charts)]
    bars = charts.charts[0].views[""].bars
    assert [(round(20 * bar[0]), bar[2]) for bar in bars if bar[2]] == [(8, 1), (19, 1)]
    gallery = localization.localization_gallery(boxes, again, tmp_path)
    kinds = [localization.KINDS[each.found[0].kind] for each in gallery.pictures]
    assert kinds == ["right", "wrong class", "left out"]
    assert [len(each.truth) for each in gallery.pictures] == [1, 1, 0]
