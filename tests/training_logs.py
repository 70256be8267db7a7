"""Logs of training, as runs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def record(iteration: int, **more: Any) -> dict[str, Any]:
    """A line of training."""
    parts = {"loss_cls": 1 / (1 + iteration), "loss_box": 0.5}
    return {"iteration": iteration, "lr": 0.01, "loss": sum(parts.values()), **parts, "time": 0.1, "eta": "1:00"} | more


def write_log(folder: Path, *records: dict[str, Any], tail: str = "") -> Path:
    """Write a ``log.jsonl`` into a new folder; ``tail`` follows the lines as it is."""
    path = folder / "log.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(item) + "\n" for item in records) + tail)
    return path
