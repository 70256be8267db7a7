"""Turns detections into the content of ``metrics.json``, for one metric or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resdet.data.formats.voc import image_names, read_voc
from resdet.data.sources.options import no_list
from resdet.errors import ConfigError, did_you_mean
from resdet.evaluation.coco import evaluate_coco
from resdet.evaluation.detections import Detected, DetectionColumns
from resdet.evaluation.files import Truth, ground_truth_of, read_detections, read_ground_truth
from resdet.evaluation.ground_truth import GroundTruth
from resdet.evaluation.voc import VOC_METRICS, evaluate_voc
from resdet.evaluation.voc_files import read_voc_results

DETECTION_METRICS = ("coco", *VOC_METRICS)


def score_files(
    ground_truth_path: str | Path,
    detections_path: str | Path,
    metric: str = "coco",
    backend: str = "hotcoco",
    iou: float = 0.5,
) -> dict[str, Any]:
    """Score a COCO results file against a COCO annotation file, without a model.

    Args:
        ground_truth_path: json with "images", "annotations" and "categories".
        detections_path: json, a list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``.
        metric: ``"coco"``, ``"voc07"`` or ``"voc10"``.
        backend: the code that computes ``"coco"``: ``"hotcoco"`` or ``"pycocotools"``.
        iou: of the VOC metrics, the least overlap of a right box, in (0, 1].

    Returns:
        The content of ``metrics.json``; see ``score_detections``.

    Raises:
        ConfigError: on an unknown metric or backend, or a file that cannot be read.
        DataError: with every problem of a file.
    """
    _check_metrics([metric])
    truth = read_ground_truth(ground_truth_path)
    return score_detections(truth, read_detections(detections_path, truth), [metric], backend, iou)


def score_voc_files(
    root: str | Path,
    split: str,
    paths: Sequence[str | Path],
    metric: str,
    backend: str = "hotcoco",
    iou: float = 0.5,
) -> dict[str, Any]:
    """Score VOC results files against a folder of VOC annotations, without a model.

    Args:
        root: the folder with ``Annotations`` and ``ImageSets``.
        split: the image set that was detected on, a list of ``ImageSets/Main``.
        paths: the folder of the results files, or a file for each class; see ``read_voc_results``.
        metric: ``"coco"``, ``"voc07"`` or ``"voc10"``.
        backend: the code that computes ``"coco"``: ``"hotcoco"`` or ``"pycocotools"``.
        iou: of the VOC metrics, the least overlap of a right box, in (0, 1].

    Returns:
        The content of ``metrics.json``; see ``score_detections``.

    Raises:
        ConfigError: on an unknown metric or backend, a missing image set, or missing results files.
        DataError: with every problem of the annotations, or of the results files.
    """
    _check_metrics([metric])
    if problems := no_list("--split", split, Path(root) / "ImageSets" / "Main"):
        raise ConfigError(problems)
    dataset = read_voc(root, split)
    classes = dict(zip(dataset.category_ids, dataset.names, strict=True))
    found = read_voc_results(paths, split, image_names(dataset), classes)
    return score_detections(GroundTruth.from_dataset(dataset), found, [metric], backend, iou)


def score_detections(
    ground_truth: Truth,
    detections: Detected,
    metrics: Sequence[str] = ("coco",),
    backend: str = "hotcoco",
    iou: float = 0.5,
) -> dict[str, Any]:
    """Score detections by each of ``metrics`` ("coco" and at most one of "voc07", "voc10", the latter at ``iou``).

    Returns:
        The content of ``metrics.json``: "coco" gives "bbox" (the 12 numbers) and "per_class" (AP and AP50 by name), the VOC
        metrics give "voc" (metric, iou, mAP, per_class); "meta" says for each metric how it was computed. A value is None when
        nothing can be measured.

    Raises:
        ConfigError: on an unknown metric or backend.
        DataError: with every problem of the ground truth or the detections.
    """
    _check_metrics(metrics)
    truth = ground_truth_of(ground_truth)
    found = DetectionColumns.of(detections, truth)
    result: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    for metric in metrics:
        if metric == "coco":
            part = evaluate_coco(truth, found, backend=backend).to_dict()
        else:
            part = evaluate_voc(truth, found, metric, iou).to_dict()
        meta[metric] = part.pop("meta")
        result |= part
    return {**result, "meta": meta}


def _check_metrics(metrics: Sequence[str]) -> None:
    problems = [
        f"metric {metric!r}: no such one{did_you_mean(metric, DETECTION_METRICS)}"
        for metric in metrics
        if metric not in DETECTION_METRICS
    ]
    if not metrics or len(set(metrics) & set(VOC_METRICS)) > 1:
        problems.append(f"metrics: need at least one, and at most one of {', '.join(VOC_METRICS)}, got {list(metrics)}")
    if problems:
        raise ConfigError(problems)
