"""Ground truth and results from COCO json files, with every problem of a file said at once."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from resdet.errors import ConfigError, DataError
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import Floats, GroundTruth


def read_ground_truth(path: str | Path) -> dict[str, Any]:
    """Read a COCO-format annotation file ("images", "annotations", "categories"); see ``GroundTruth.from_dict``.

    Raises:
        ConfigError: when there is no such file or it cannot be read.
        DataError: with all its problems, naming file, annotation, rule and value.
    """
    values = _read_json(path)
    with _naming(path):
        GroundTruth.from_dict(values)
    return dict(values)


def read_detections(path: str | Path, ground_truth: Mapping[str, Any]) -> dict[str, Any]:
    """Read a COCO results file: a list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``.

    Boxes that look like corners or like fractions of the image are warned of, since they only show as a low AP otherwise.

    Args:
        path: the file.
        ground_truth: a COCO-format dict; its ids are the known ones.

    Returns:
        Columns: "image_id" and "category_id" (D,) as in the ground truth, "bbox" float64 (D, 4), "score" float64 (D,).

    Raises:
        ConfigError: when there is no such file or it cannot be read.
        DataError: with all its problems, naming file, result, rule and value.
    """
    results = _read_json(path)
    truth = GroundTruth.from_dict(ground_truth)
    with _naming(path):
        found = DetectionColumns.from_results(results, truth)
    for suspicion in _suspicions(found.boxes, _image_sizes(ground_truth, truth)[found.image]):
        warnings.warn(f"{path}: {suspicion}", stacklevel=2)
    return {
        "image_id": [truth.image_ids[index] for index in found.image.tolist()],
        "category_id": [truth.category_ids[index] for index in found.category.tolist()],
        "bbox": found.boxes,
        "score": found.scores,
    }


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Put the file's name before every problem of a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError([f"{path}: {problem}" for problem in error.problems]) from error


def _read_json(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # a JSONDecodeError gives line and column
        raise DataError(f"{path}: not JSON: {error}") from error


def _image_sizes(ground_truth: Mapping[str, Any], truth: GroundTruth) -> Floats:
    """(width, height) of each image, pixels, infinite where the file has none: float64 (images, 2)."""
    sizes = {row["id"]: (row.get("width") or np.inf, row.get("height") or np.inf) for row in ground_truth["images"]}
    return np.array([sizes[key] for key in truth.image_ids], dtype=np.float64).reshape(-1, 2)


def _suspicions(boxes: Floats, sizes: Floats) -> list[str]:
    if not len(boxes):
        return []
    outside = int((boxes[:, :2] + boxes[:, 2:] > sizes + 1).any(axis=1).sum())
    if outside > len(boxes) / 2:
        counted = f"{outside} of {len(boxes)} boxes reach beyond their image"
        return [f"{counted}; COCO results are [x, y, width, height], are these [x1, y1, x2, y2]?"]
    if boxes.max() <= 1 and np.isfinite(sizes).all() and sizes.min() > 1:
        return ["every box lies within the first pixel; COCO results are in pixels, are these fractions of the image?"]
    return []
