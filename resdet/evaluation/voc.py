"""Pascal VOC's average precision, by the rules of the official devkit (``VOCevaldet.m``).

- Boxes are the COCO-format continuous ones, ``x = xmin - 1, width = xmax - xmin + 1`` for 1-based inclusive VOC corners, so
  the devkit's "+ 1" widths are plain widths here and its IoU is the plain IoU.
- Detections of a class are visited by falling score, equal scores in the order given. Each looks only at the object of its
  class that it overlaps most in its image (the first of equals), and is right when that IoU is **at least** ``iou`` and
  the object is still free; a second one on the same object is false, even if it overlaps another free one enough.
  (Python ports of the devkit ask for *more* than ``iou``; the difference shows only at exact equality.)
- Difficult objects are not counted, and a detection whose best object is difficult is neither right nor false. Crowds
  (``iscrowd``) and annotations with "ignore" are treated in the same way.
- ``voc07``: mean of the greatest precision at recall >= 0, .1, … 1. The recall grid is NumPy's ``arange(0, 1.1, .1)``, as in
  the Python ports, whose .3, .6 and .7 are a rounding error too great: a recall of exactly .3 does not reach that point.
- ``voc10`` (VOC 2010 and later): area under the precision-recall curve made monotone.
- A class without countable objects has no AP and is left out of the mean; one without detections has AP 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resdet.errors import ConfigError, did_you_mean
from resdet.evaluation.detections import Detected, DetectionColumns
from resdet.evaluation.files import Truth, ground_truth_of
from resdet.evaluation.ground_truth import Flags, Floats, GroundTruth, Integers

VOC_METRICS = ("voc07", "voc10")


@dataclass(frozen=True)
class VocMetrics:
    """VOC metrics, fractions in [0, 1], NaN where there is nothing to measure.

    Attributes:
        metric: ``"voc07"`` or ``"voc10"``.
        iou: the least overlap of a right detection.
        mean_ap: the mean over the classes that have an AP.
        per_class: AP by class name.
        meta: how the metrics were computed: metric, conventions, counts.
    """

    metric: str
    iou: float
    mean_ap: float
    per_class: dict[str, float]
    meta: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``metrics.json``: keys "voc" (metric, iou, mAP, per_class) and "meta", None where a value is NaN."""
        per_class = {name: None if np.isnan(ap) else ap for name, ap in self.per_class.items()}
        mean_ap = None if np.isnan(self.mean_ap) else self.mean_ap
        return {"voc": {"metric": self.metric, "iou": self.iou, "mAP": mean_ap, "per_class": per_class}, "meta": self.meta}


def evaluate_voc(
    ground_truth: Truth,
    detections: Detected,
    metric: str = "voc07",
    iou: float = 0.5,
) -> VocMetrics:
    """Score boxes as VOC does.

    Args:
        ground_truth: a ``GroundTruth``, a COCO-format dict, or the path of such a json; its annotations may have "difficult" or
            "ignore".
        detections: ``DetectionColumns``, COCO results ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``,
            or a dict of columns with these names; may be empty.
        metric: ``"voc07"``, 11 points, or ``"voc10"``, the area.
        iou: in (0, 1].

    Raises:
        ConfigError: on an unknown metric, an ``iou`` out of range, or when the file cannot be read.
        DataError: with every problem of the ground truth or of the detections.
    """
    if metric not in VOC_METRICS:
        raise ConfigError(f"VOC metric {metric!r}: no such one{did_you_mean(metric, VOC_METRICS)}")
    if not 0 < iou <= 1:
        raise ConfigError(f"VOC metric: 'iou' must be in (0, 1], got {iou!r}")
    truth = ground_truth_of(ground_truth)
    found = DetectionColumns.of(detections, truth)
    right, counted = _match(truth, found, iou)
    average_precision = _eleven_points if metric == "voc07" else _area
    per_class = {}
    for category, name in enumerate(truth.names):
        positives = int(((truth.category == category) & ~truth.difficult).sum())
        mine = np.flatnonzero(counted & (found.category == category))
        mine = mine[np.argsort(-found.scores[mine], kind="stable")]
        hits = np.cumsum(right[mine])
        precision = hits / np.arange(1, len(mine) + 1)
        per_class[name] = average_precision(hits / positives, precision) if positives else float("nan")
    measured = [ap for ap in per_class.values() if not np.isnan(ap)]
    meta = {
        "metric": metric,
        "iou": f">= {iou}",
        "images": len(truth.image_ids),
        "objects": int((~truth.difficult).sum()),
        "difficult": int(truth.difficult.sum()),
        "detections": len(found.boxes),
    }
    return VocMetrics(metric, iou, float(np.mean(measured)) if measured else float("nan"), per_class, meta)


def _match(truth: GroundTruth, found: DetectionColumns, iou: float) -> tuple[Flags, Flags]:
    """Which detections (D,) are right, and which count at all: those not on a difficult object."""
    best, overlap = _best_object(truth, found)
    hit = (best >= 0) & (overlap >= iou)
    on_difficult = hit.copy()
    on_difficult[hit] = truth.difficult[best[hit]]
    right = np.zeros(len(best), dtype=np.bool_)
    order = np.argsort(-found.scores, kind="stable")
    claims = order[(hit & ~on_difficult)[order]]
    _, first = np.unique(best[claims], return_index=True)  # each object goes to its best scored detection; the others are false
    right[claims[first]] = True
    return right, ~on_difficult


def _best_object(truth: GroundTruth, found: DetectionColumns) -> tuple[Integers, Floats]:
    """The object (D,) of its image and class that each detection overlaps most, -1 where there is none, and the IoU (D,)."""
    classes = max(len(truth.category_ids), 1)
    keys = truth.image * classes + truth.category
    order = np.argsort(keys, kind="stable")
    wanted = found.image * classes + found.category
    start = np.searchsorted(keys[order], wanted, side="left")
    count = np.searchsorted(keys[order], wanted, side="right") - start
    best = np.full(len(wanted), -1, dtype=np.int64)
    overlap = np.zeros(len(wanted))
    paired = np.flatnonzero(count)
    if not len(paired):
        return best, overlap
    # one row for each pair of a detection and an object of its image and class; a detection's rows lie together
    rows = np.repeat(paired, count[paired])
    begin = np.cumsum(count[paired]) - count[paired]
    within = np.arange(len(rows)) - np.repeat(begin, count[paired])
    objects = order[np.repeat(start[paired], count[paired]) + within]
    ious = _iou(found.boxes[rows], truth.boxes[objects])
    overlap[paired] = np.maximum.reduceat(ious, begin)
    winners = np.flatnonzero(ious == overlap[rows])
    _, first = np.unique(rows[winners], return_index=True)
    best[paired] = objects[winners[first]]
    return best, overlap


def _iou(a: Floats, b: Floats) -> Floats:
    """IoU (P,) of boxes (P, 4) ``(x, y, width, height)`` with boxes (P, 4); 0 for two empty ones."""
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    union = a[:, 2] * a[:, 3] + b[:, 2] * b[:, 3] - common
    iou: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou


def _eleven_points(recall: Floats, precision: Floats) -> float:
    points = [precision[recall >= point].max(initial=0.0) for point in np.arange(0.0, 1.1, 0.1)]
    return float(np.mean(points))


def _area(recall: Floats, precision: Floats) -> float:
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))
