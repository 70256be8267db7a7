"""What is wrong with detections: which are right, which error each of the others is, and what each kind of error costs.

The kinds are those of Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, section 2.2. A
detection is right when COCO matches it to an object at IoU 0.5. Objects that are not counted (crowds), detections on them, and
detections beyond the 100 best of an image and a class are left out.

Legend: D detections, G annotated objects, K classes, T = 10 IoU thresholds .50 … .95, B bins of scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from resdet.evaluation.calibration import Calibration
from resdet.evaluation.coco import hotcoco_evaluation
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import Flags, Floats, GroundTruth, Integers
from resdet.evaluation.thresholds import ScoreCurve, score_curve
from resdet.ops.iou import box_iou

KINDS = ("right", "class", "localization", "both", "duplicate", "background", "left out")
RIGHT, CLASS, LOCALIZATION, BOTH, DUPLICATE, BACKGROUND, LEFT_OUT = range(len(KINDS))
RIGHT_IOU = 0.5  # the least IoU of a right box
NEAR_IOU = 0.1  # the least IoU of a box that has to do with an object
# the errors of TIDE by hotcoco's words, and ours
ERRORS = {
    "Cls": "class",
    "Loc": "localization",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What hotcoco and TIDE say of detections.

    Attributes:
        ap: float64 (T, K, 4), the AP at each IoU, of objects of any size, small, medium and large; NaN without any.
        precision: float64 (101, K), COCO's precision at the recalls 0, 0.01, … 1, IoU 0.5; NaN in a class without objects.
        kind: int64 (D,), the index in ``KINDS`` of each detection.
        nearest: int64 (D,), the object that a right detection is matched to; of the others the one it overlaps most, of the
            kind that makes the error (for "class" one of another class); -1: none with an IoU of 0.1 or more.
        found_at: float64 (G,), the score of the detection that is matched to an object; NaN where there is none.
        gain: by kind of error, and "missed", the AP at IoU 0.5 that would be gained if only these errors were mended.
        counts: by kind of error, and "missed", how many there are, over all scores.
        calibration: how well scores fit the share of right detections, over all scores.
        confusion: int64 (K + 1, K + 1), of the detections from ``score`` on: rows are true classes, columns detected ones, the
            last row detections of background, the last column objects without a detection.
        score: the score that ``confusion`` begins at.
    """

    ap: Floats
    precision: Floats
    kind: Integers
    nearest: Integers
    found_at: Floats
    gain: Mapping[str, float]
    counts: Mapping[str, int]
    calibration: Calibration
    confusion: Integers
    score: float


def diagnose(truth: GroundTruth, found: DetectionColumns) -> Diagnosis:
    """Diagnose detections; ``score`` is the hundredth with the best F1 over all classes together, 0 when nothing is right."""
    run = hotcoco_evaluation(truth, found)
    run.evaluate()
    run.accumulate()
    precision = np.where(run.eval["precision"] > -1, run.eval["precision"], np.nan)[..., 2]
    status = run.image_diagnostics(iou_thr=RIGHT_IOU)
    kind, nearest = _kinds(truth, found, status["dt_status"], status["dt_match"])
    found_at = np.full(len(truth.boxes), np.nan)
    found_at[nearest[kind == RIGHT]] = found.scores[kind == RIGHT]
    errors, bins = run.tide_errors(RIGHT_IOU, NEAR_IOU), run.calibration()["bins"]
    curve = score_curve(found.scores[kind != LEFT_OUT], kind[kind != LEFT_OUT] == RIGHT, int((~truth.crowd).sum()))
    score = _best_hundredth(curve)
    return Diagnosis(
        ap=precision.mean(axis=1),  # a class of a size has objects, or NaN at every recall
        precision=precision[0, :, :, 0],
        kind=kind,
        nearest=nearest,
        found_at=found_at,
        gain={name: float(errors["delta_ap"][key]) for key, name in ERRORS.items()},
        counts={name: int(errors["counts"][key]) for key, name in ERRORS.items()},
        calibration=Calibration(
            np.array([each["count"] for each in bins], dtype=np.int64),
            np.array([each["avg_confidence"] for each in bins], dtype=np.float64),
            np.array([each["avg_accuracy"] for each in bins], dtype=np.float64),
        ),
        confusion=_confusion(truth, found, kind != LEFT_OUT, score),
        score=score,
    )


def _best_hundredth(curve: ScoreCurve) -> float:
    """The hundredth with the greatest F1, of equal ones the highest; a score that people can write down."""
    if not curve.right.any():
        return 0.0
    return max((hundredth / 100 for hundredth in range(101)), key=lambda score: (curve.at(score).f1, score))


def _confusion(truth: GroundTruth, found: DetectionColumns, counted: Flags, score: float) -> Integers:
    kept = DetectionColumns(found.image[counted], found.category[counted], found.boxes[counted], found.scores[counted])
    run = hotcoco_evaluation(truth, kept)
    matrix: Integers = run.confusion_matrix(iou_thr=RIGHT_IOU, min_score=score)["matrix"].astype(np.int64)
    return matrix


def _kinds(
    truth: GroundTruth, found: DetectionColumns, status: Mapping[int, str], match: Mapping[int, int]
) -> tuple[Integers, Integers]:
    """``kind`` and ``nearest``, from hotcoco's status and matched object of each detection, numbered from 1."""
    kind = np.full(len(found.boxes), LEFT_OUT)
    nearest = np.full(len(found.boxes), -1)
    for number, what in status.items():
        kind[number - 1] = RIGHT if what == "tp" else BACKGROUND
    for number, matched in match.items():
        nearest[number - 1] = matched - 1
    used = np.zeros(len(truth.boxes), dtype=np.bool_)
    used[nearest[kind == RIGHT]] = True
    wrong, objects = np.flatnonzero(kind == BACKGROUND), np.flatnonzero(~truth.crowd)
    images = len(truth.image_ids)
    rows_of, objects_of = rows_by_image(found.image[wrong], images), rows_by_image(truth.image[objects], images)
    for some, own in zip(rows_of, objects_of, strict=True):
        if len(some) and len(own):
            rows = wrong[some]
            kind[rows], nearest[rows] = _errors(truth, found, rows, objects[own], used)
    return kind, nearest


def rows_by_image(image: Integers, images: int) -> list[Integers]:
    """For each of ``images`` images the rows that belong to it, in order; ``image`` has the image of each row."""
    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, images))) if images else []


def _errors(
    truth: GroundTruth, found: DetectionColumns, rows: Integers, own: Integers, used: Flags
) -> tuple[Integers, Integers]:
    """Kind and object of the wrong detections ``rows`` of an image with the objects ``own``."""
    overlap = box_iou(_corners(found.boxes[rows]), _corners(truth.boxes[own])).numpy()
    same = found.category[rows][:, None] == truth.category[own]
    kind, nearest = np.full(len(rows), BOTH), own[overlap.argmax(1)]
    kind[overlap.max(1) <= NEAR_IOU] = BACKGROUND
    # TIDE asks in the opposite order and takes the first answer; here the last one stays
    for error, candidates, least, most in (
        (DUPLICATE, same & used[own], RIGHT_IOU, 1),
        (CLASS, ~same, RIGHT_IOU, 1),
        (LOCALIZATION, same, NEAR_IOU, RIGHT_IOU),
    ):
        held = np.where(candidates, overlap, 0)
        chosen = (held.max(1) >= least) & (held.max(1) <= most)
        kind[chosen], nearest[chosen] = error, own[held.argmax(1)][chosen]
    nearest[kind == BACKGROUND] = -1
    return kind, nearest


def _corners(boxes: Floats) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
