"""Reads ground truth and results from COCO json files, and reports all problems of a file at once."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from resdet.data.formats.annotations import in_first_pixel
from resdet.errors import ConfigError, DataError
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import Floats, GroundTruth
from resdet.files import parse_json, regular

Truth: TypeAlias = GroundTruth | Mapping[str, Any] | str | Path


def ground_truth_of(source: Truth) -> GroundTruth:
    """The ground truth of ``source``, which is a ``GroundTruth``, a COCO-format dict, or the path of such a json.

    Raises:
        ConfigError: when the file cannot be read.
        DataError: with every problem of the ground truth.
    """
    if isinstance(source, GroundTruth):
        return source
    return read_ground_truth(source) if isinstance(source, (str, Path)) else GroundTruth.from_dict(source)


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Read a COCO-format annotation file ("images", "annotations", "categories"); see ``GroundTruth.from_dict``.

    Raises:
        ConfigError: when there is no such file or it cannot be read.
        DataError: with all its problems, naming file, annotation, rule and value.
    """
    values = _read_json(path)
    with _naming(path):
        return GroundTruth.from_dict(values)


def read_detections(path: str | Path, truth: GroundTruth) -> DetectionColumns:
    """Read a COCO results file: a list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``.

    There is a warning for boxes that look like corners or like fractions of the image, because otherwise only a low AP would
    show the mistake.

    Args:
        path: the file.
        truth: the ground truth, whose ids are the known ones.

    Raises:
        ConfigError: when there is no such file or it cannot be read.
        DataError: with all its problems, naming file, result, rule and value.
    """
    results = _read_json(path)
    with _naming(path):
        found = DetectionColumns.from_results(results, truth)
    for suspicion in _suspicions(found.boxes, truth.sizes[found.image]):
        warnings.warn(f"{path}: {suspicion}", stacklevel=2)
    return found


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Put the file's name before every problem of a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError([f"{path}: {problem}" for problem in error.problems]) from error


def _read_json(path: str | Path) -> Any:
    try:
        return parse_json(regular(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a JSONDecodeError gives line and column
        raise DataError(f"{path}: not JSON: {error}") from error


def _suspicions(boxes: Floats, sizes: Floats) -> list[str]:
    if not len(boxes):
        return []
    outside = int((boxes[:, :2] + boxes[:, 2:] > sizes + 1).any(axis=1).sum())
    if outside > len(boxes) / 2:
        counted = f"{outside} of {len(boxes)} boxes reach beyond their image"
        return [f"{counted}; COCO results are [x, y, width, height], are these [x1, y1, x2, y2]?"]
    if in_first_pixel(boxes, sizes):
        return ["every box lies within the first pixel; COCO results are in pixels, are these fractions of the image?"]
    return []
