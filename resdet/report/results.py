"""The result files of a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resdet.files import json_ready, write_json


def write_metrics(folder: str | Path, metrics: Mapping[str, Any]) -> Path:
    """Write ``metrics.json`` into ``folder``, atomically; NaN and infinity become null. Returns its path."""
    path = Path(folder) / "metrics.json"
    write_json(path, json_ready(metrics))
    return path


def write_detections(folder: str | Path, results: Sequence[Mapping[str, Any]]) -> Path:
    """Write COCO results as ``detections.json`` into ``folder``, atomically, floats unrounded. Returns its path."""
    path = Path(folder) / "detections.json"
    write_json(path, list(results), indent=None)
    return path
