"""Which error a detection is, what errors cost, and the confusion of classes: by hand, and against hotcoco and tidecv."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosed import crowded_truth, detections, random_set, truth_of

from resdet.evaluation.coco import evaluate_coco
from resdet.evaluation.diagnosis import KINDS, diagnose, rows_by_image

# one object of class 0 at (0, 0), one of class 1 at (50, 50), each 20 x 20
OBJECTS = [(0, 0, 0, 0, 20, 20), (0, 1, 50, 50, 20, 20)]
RIGHT = (0, 0, 0, 0, 20, 20, 0.9)


@pytest.mark.parametrize(
    ("row", "kind", "nearest"),
    [
        ((0, 0, 0, 0, 20, 8, 0.8), "localization", 0),  # IoU 0.4 with its class
        ((0, 0, 0, 0, 20, 2, 0.8), "localization", 0),  # IoU 0.1
        ((0, 0, 0, 0, 20, 1, 0.8), "background", -1),  # IoU 0.05
        ((0, 0, 90, 90, 5, 5, 0.8), "background", -1),
        ((0, 1, 0, 0, 20, 15, 0.8), "class", 0),  # IoU 0.75 with another class
        ((0, 1, 0, 0, 20, 8, 0.8), "both", 0),  # IoU 0.4 with another class
        ((0, 0, 0, 0, 20, 15, 0.8), "duplicate", 0),  # the object is found by a better one
        ((0, 1, 50, 50, 20, 15, 0.8), "right", 1),
        ((0, 0, 50, 50, 20, 20, 0.8), "class", 1),
    ],
)
def test_the_kind_of_a_detection(row: tuple, kind: str, nearest: int) -> None:
    found = diagnose(truth_of(OBJECTS), detections([RIGHT, row]))
    assert [KINDS[each] for each in found.kind] == ["right", kind]
    assert found.nearest.tolist() == [0, nearest]


def test_crowds_and_what_lies_on_them_are_left_out() -> None:
    truth = crowded_truth([*OBJECTS, (0, 0, 60, 0, 30, 30)], crowds=[2])
    found = diagnose(truth, detections([RIGHT, (0, 0, 62, 2, 10, 10, 0.8), (0, 1, 62, 2, 10, 10, 0.7)]))
    assert [KINDS[each] for each in found.kind] == ["right", "left out", "background"]
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert found.score == 0.9
    assert found.found_at.tolist()[0] == 0.9
    assert np.isnan(found.found_at[1:]).all()


def test_what_is_beyond_the_hundred_best_is_left_out() -> None:
    rows = [(0, 0, 90, 90, 5, 5, 0.5 + number / 1000) for number in range(101)]
    found = diagnose(truth_of(OBJECTS), detections(rows))
    assert KINDS[found.kind[0]] == "left out"
    assert [KINDS[each] for each in found.kind[1:]] == ["background"] * 100


def test_confusion_and_gains_by_hand() -> None:
    """Two classes of one object each. Class 0 is found by its second best detection: AP 1/2, without the background 1."""
    rows = [(0, 0, 90, 90, 5, 5, 0.9), (0, 0, 0, 0, 20, 20, 0.8), (0, 0, 50, 50, 20, 20, 0.7), (0, 1, 90, 0, 5, 5, 0.1)]
    found = diagnose(truth_of(OBJECTS), detections(rows))
    # F1 from 0.9, 0.8, 0.7, 0.1 on: 0, 2/4, 2/5, 2/6
    assert found.score == 0.8
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert found.counts == {"class": 1, "localization": 0, "both": 0, "duplicate": 0, "background": 2, "missed": 0}
    # AP is 1/2 for class 0 and 0 for class 1; a mended class error finds the object of class 1: 1/2 + 1
    assert found.ap[0, :, 0].tolist() == pytest.approx([0.5, 0.0])
    assert found.gain["background"] == pytest.approx((1.0 + 0.0) / 2 - 0.25)
    assert found.gain["class"] == pytest.approx((0.5 + 1.0) / 2 - 0.25)
    assert found.gain["localization"] == found.gain["duplicate"] == 0


def test_without_detections_and_without_objects() -> None:
    nothing = diagnose(truth_of(OBJECTS), detections([]))
    assert nothing.score == 0
    assert nothing.counts["missed"] == 2
    assert nothing.confusion.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    empty = diagnose(truth_of([]), detections([RIGHT]))
    assert [KINDS[each] for each in empty.kind] == ["background"]
    assert np.isnan(empty.ap).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_counts_of_kinds_are_those_of_hotcoco(seed: int) -> None:
    truth, found = random_set(seed)
    diagnosis = diagnose(truth, found)
    for number, name in enumerate(KINDS):
        if name in diagnosis.counts:
            assert (diagnosis.kind == number).sum() == diagnosis.counts[name], name
    assert min(diagnosis.counts.values()) > 0
    right = diagnosis.kind == 0
    assert sorted(diagnosis.nearest[right].tolist()) == np.flatnonzero(~np.isnan(diagnosis.found_at)).tolist()


def test_the_ap_is_that_of_the_metrics() -> None:
    truth, found = random_set(7)
    diagnosis, metrics = diagnose(truth, found), evaluate_coco(truth, found)
    assert np.nanmean(diagnosis.ap[:, :, 0]) == pytest.approx(metrics.bbox["AP"])
    assert [np.nanmean(diagnosis.ap[..., size]) for size in (1, 2)] == pytest.approx([metrics.bbox["APs"], metrics.bbox["APm"]])
    per_class = [metrics.per_class[name]["AP50"] for name in truth.names]
    assert diagnosis.precision.mean(0).tolist() == pytest.approx(per_class)


@pytest.mark.slow
def test_errors_and_gains_are_those_of_tidecv() -> None:
    tidecv = pytest.importorskip("tidecv", reason="tidecv is not installed")
    truth, found = random_set(11)
    ours = diagnose(truth, found)
    boxes, seen = tidecv.Data("truth"), tidecv.Data("found")
    for label, name in enumerate(truth.names):
        boxes.add_class(label, name)
        seen.add_class(label, name)
    for image in range(len(truth.image_ids)):  # tidecv passes over images that its truth does not name
        boxes.add_image(image, str(image))
    for image, label, box in zip(truth.image.tolist(), truth.category.tolist(), truth.boxes, strict=True):
        boxes.add_ground_truth(image, label, box)
    columns = (found.image.tolist(), found.category.tolist(), found.scores.tolist(), found.boxes)
    for image, label, score, box in zip(*columns, strict=True):
        seen.add_detection(image, label, score, box)
    run = tidecv.TIDE(pos_threshold=0.5, background_threshold=0.1, mode=tidecv.TIDE.BOX)
    run.evaluate(boxes, seen)
    gains = run.get_main_errors()["found"]
    names = {"Cls": "class", "Loc": "localization", "Both": "both", "Dupe": "duplicate", "Bkg": "background", "Miss": "missed"}
    # tidecv's AP is in percent and interpolates at 101 recalls as COCO does
    assert {names[key]: gain / 100 for key, gain in gains.items()} == pytest.approx(ours.gain, abs=1e-9)
    theirs = {kind.short_name: len(errors) for kind, errors in run.runs["found"].error_dict.items()}
    assert {names[key]: count for key, count in theirs.items() if key in names} == dict(ours.counts)


def test_rows_by_image() -> None:
    assert [rows.tolist() for rows in rows_by_image(np.array([2, 0, 2]), 4)] == [[1], [], [0, 2], []]
    assert rows_by_image(np.zeros(0, np.int64), 0) == []
