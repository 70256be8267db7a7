"""Writes the result files of a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resdet.files import atomic_write, json_ready, write_json

_RESULT_KEYS = ("image_id", "category_id", "bbox", "score")
_ROWS = 10_000  # rows written at a time

LAST_EVALUATION = "last_evaluation"  # in a run folder, while training goes on


def latest_results(folder: Path) -> Path:
    """Where the newest results of a run folder are: in itself, or of a training that goes on in ``last_evaluation``."""
    own, last = folder / "metrics.json", folder / LAST_EVALUATION / "metrics.json"
    newer = last.is_file() and not (own.is_file() and own.stat().st_mtime_ns >= last.stat().st_mtime_ns)
    return last.parent if newer else folder


def write_metrics(folder: str | Path, metrics: Mapping[str, Any]) -> Path:
    """Write ``metrics.json`` into ``folder``, atomically; NaN and infinity become null. Returns its path."""
    path = Path(folder) / "metrics.json"
    write_json(path, json_ready(metrics))
    return path


def write_detections(folder: str | Path, results: Mapping[str, NDArray[Any]]) -> Path:
    """Write COCO results as ``detections.json`` into ``folder``, atomically, floats unrounded. Returns its path.

    Args:
        folder: the folder to write to.
        results: columns "image_id" and "category_id" (D,), "bbox" (D, 4) ``x, y, width, height``, "score" (D,).

    Raises:
        ValueError: when a number is not finite.
    """
    if not (np.isfinite(results["bbox"]).all() and np.isfinite(results["score"]).all()):
        raise ValueError("detections.json holds finite numbers only")

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write("[")
            for first in range(0, len(results["score"]), _ROWS):
                images, *others = (results[key][first : first + _ROWS].tolist() for key in _RESULT_KEYS)
                names = map(json.dumps, images) if isinstance(images[0], str) else images
                rows = [  # Python prints finite numbers and lists of them as JSON does, faster than its JSON writer
                    f'{{"image_id": {name}, "category_id": {category}, "bbox": {box}, "score": {score}}}'
                    for name, category, box, score in zip(names, *others, strict=True)
                ]
                file.write((", " if first else "") + ", ".join(rows))
            file.write("]\n")

    path = Path(folder) / "detections.json"
    atomic_write(path, write)
    return path
