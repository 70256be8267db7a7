"""COCO's twelve box metrics, as the official tools compute them.

The rules that surprise people (source: the official ``cocoeval.py``):

- IoU thresholds .50, .55, … .95 (``linspace``); a match needs IoU >= the threshold; boxes are continuous, no +1.
- The best scored 100 detections of an image *and category* count. Equal scores keep the order given, images in id order.
- Of two annotated boxes with equal IoU the later one is matched.
- A crowd (``iscrowd``) absorbs any number of detections, by intersection over the *detection's* area; an "ignore" field of
  the annotation has no effect.
- Sizes are the annotation's "area" (often of a mask) and the detection's width * height, both ends of a range included;
  an unmatched detection outside the range is ignored, not false.
- A category without annotations is left out of every mean; an image without annotations is not: its detections are false.

Here an annotation id of 0 counts like any other, with a warning: the official code can never match it (its 0 means "no
match"), so it reports a lower AP for such a file.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from resdet.errors import ConfigError, did_you_mean
from resdet.evaluation.detections import Detected, DetectionColumns
from resdet.evaluation.files import Truth, ground_truth_of
from resdet.evaluation.ground_truth import Floats, GroundTruth

MAX_DETECTIONS = 100
# metric: its array, then the indices of the IoU threshold (None: all), the area range and the detection limit (1, 10, 100)
_STATS: dict[str, tuple[str, int | None, int, int]] = {
    "AP": ("precision", None, 0, 2),
    "AP50": ("precision", 0, 0, 2),
    "AP75": ("precision", 5, 0, 2),
    "APs": ("precision", None, 1, 2),
    "APm": ("precision", None, 2, 2),
    "APl": ("precision", None, 3, 2),
    "AR1": ("recall", None, 0, 0),
    "AR10": ("recall", None, 0, 1),
    "AR100": ("recall", None, 0, 2),
    "ARs": ("recall", None, 1, 2),
    "ARm": ("recall", None, 2, 2),
    "ARl": ("recall", None, 3, 2),
}


@dataclass(frozen=True)
class DetectionMetrics:
    """COCO metrics, fractions in [0, 1]; NaN where there is nothing to measure (no object of that size or class).

    Attributes:
        bbox: AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl.
        per_class: AP and AP50 by class name.
        meta: how the metrics were computed: metric, backend, conventions, counts.
    """

    bbox: dict[str, float]
    per_class: dict[str, dict[str, float]]
    meta: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``metrics.json``: keys "bbox", "per_class", "meta", None where a value is NaN."""
        per_class = {name: _none_for_nan(values) for name, values in self.per_class.items()}
        return {"bbox": _none_for_nan(self.bbox), "per_class": per_class, "meta": self.meta}


def evaluate_coco(
    ground_truth: Truth,
    detections: Detected,
    *,
    backend: str = "hotcoco",
) -> DetectionMetrics:
    """Score boxes as COCO does, over all images and categories of the ground truth.

    Args:
        ground_truth: a ``GroundTruth``, a COCO-format dict, or the path of such a json.
        detections: ``DetectionColumns``, COCO results ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``,
            or a dict of columns with these names; may be empty.
        backend: ``"hotcoco"``, or ``"pycocotools"``, the official code, which gives the same numbers more slowly.

    Raises:
        ConfigError: on an unknown backend, or when the file cannot be read.
        DataError: with every problem of the ground truth or of the detections.
    """
    if backend not in _BACKENDS:
        raise ConfigError(f"evaluation backend {backend!r}: no such one{did_you_mean(backend, list(_BACKENDS))}")
    truth = ground_truth_of(ground_truth)
    found = DetectionColumns.of(detections, truth)
    if truth.has_id_zero:
        warnings.warn(
            "an annotation has the id 0: it is counted like any other here, while the official COCO tools can never match "
            "it and report a lower AP for this file",
            stacklevel=2,
        )
    precision, recall = _BACKENDS[backend](truth, found)
    arrays = {"precision": precision, "recall": recall}
    meta = {
        "metric": "coco",
        "backend": f"{backend} {version(backend)}",
        "max_detections": MAX_DETECTIONS,
        "images": len(truth.image_ids),
        "objects": len(truth.boxes),
        "detections": len(found.boxes),
    }
    return DetectionMetrics(
        bbox={name: _mean(_select(arrays[array], t, a, m)) for name, (array, t, a, m) in _STATS.items()},
        per_class={
            name: {"AP": _mean(precision[:, :, k, 0, 2]), "AP50": _mean(precision[0, :, k, 0, 2])}
            for k, name in enumerate(truth.names)
        },
        meta=meta,
    )


def _select(array: Floats, threshold: int | None, area: int, limit: int) -> Floats:
    kept = array if threshold is None else array[threshold : threshold + 1]
    return kept[..., area, limit]


def _mean(values: Floats) -> float:
    """The mean over what could be measured (the arrays hold -1 elsewhere), NaN when nothing could."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else float("nan")


def _none_for_nan(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def hotcoco_evaluation(truth: GroundTruth, found: DetectionColumns) -> Any:
    """Hotcoco's ``COCOeval``, not yet run: images and categories by their index, annotations and detections numbered from 1."""
    import hotcoco

    data = hotcoco.COCO.from_arrays(
        [{"id": index} for index in range(len(truth.image_ids))],
        [{"id": index, "name": str(index)} for index in range(len(truth.category_ids))],
        truth.image,
        truth.category,
        truth.boxes,
        ids=np.arange(1, len(truth.boxes) + 1),
        area=truth.area,
        iscrowd=truth.crowd.astype(np.int64),
    )
    return hotcoco.COCOeval(data, data.load_res(_seven_columns(found)), "bbox")


def _hotcoco(truth: GroundTruth, found: DetectionColumns) -> tuple[Floats, Floats]:
    run = hotcoco_evaluation(truth, found)
    run.evaluate()
    run.accumulate()
    result = run.eval
    if result is None:
        raise RuntimeError("hotcoco computed nothing")
    return result["precision"], result["recall"]


def _pycocotools(truth: GroundTruth, found: DetectionColumns) -> tuple[Floats, Floats]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": index} for index in range(len(truth.image_ids))]
    categories = [{"id": index, "name": str(index)} for index in range(len(truth.category_ids))]
    columns = (truth.image, truth.category, truth.boxes, truth.area, truth.crowd.astype(int))
    objects = zip(*(column.tolist() for column in columns), strict=True)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        data = COCO()
        data.dataset = {
            "images": images,
            "categories": categories,
            "annotations": [
                {"id": index, "image_id": image, "category_id": category, "bbox": box, "area": area, "iscrowd": crowd}
                for index, (image, category, box, area, crowd) in enumerate(objects, 1)
            ],
        }
        data.createIndex()
        if len(found.boxes):
            results = data.loadRes(_seven_columns(found))
        else:  # loadRes does not accept an empty list
            results = COCO()
            results.dataset = {"images": images, "categories": categories, "annotations": []}
            results.createIndex()
        run = COCOeval(data, results, "bbox")
        run.evaluate()
        run.accumulate()
    return run.eval["precision"], run.eval["recall"]


def _seven_columns(found: DetectionColumns) -> Floats:
    """(D, 7): image, x, y, width, height, score, category, the array form of both libraries' results."""
    return np.column_stack([found.image, found.boxes, found.scores, found.category]).astype(np.float64)


_BACKENDS: dict[str, Callable[[GroundTruth, DetectionColumns], tuple[Floats, Floats]]] = {
    "hotcoco": _hotcoco,
    "pycocotools": _pycocotools,
}
