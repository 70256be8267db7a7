"""Reads the learning curves of a run's ``log.jsonl``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError, DataError
from resdet.files import parse_json, regular

Curve = tuple[list[int], list[float]]


@dataclass
class Log:
    """The curves of a run, of training steps and of evaluations, by name; each has iterations and values."""

    steps: dict[str, Curve] = field(default_factory=dict)
    scores: dict[str, Curve] = field(default_factory=dict)


def read_log(path: str | Path) -> Log:
    """Read a ``log.jsonl``: lines ``{"iteration", "lr", "loss", "loss_…", …}`` and ``{"iteration", "eval": {…}}``.

    An evaluation without "iteration" belongs to the step before it. A last line that is cut short, as a killed run leaves it,
    is skipped.

    Raises:
        ConfigError: when the file cannot be read.
        DataError: when it holds no step, or a line that is no record, naming file and line.
    """
    try:
        text = regular(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    log = Log()
    iteration = 0
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
            iteration = int(record.get("iteration", iteration))
            float(iteration)  # an OverflowError for more digits than a float holds, which no picture could show
            values, curves = (_scores(record["eval"]), log.scores) if "eval" in record else (record, log.steps)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            raise DataError(f"{path}: line {number} must be a record of the log, got {line[:80]!r}") from error
        for name, value in values.items():
            # not math.isfinite, which knows no integer of more digits than a float holds
            if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max:
                steps, heights = curves.setdefault(name, ([], []))
                steps.append(iteration)
                heights.append(value)
    if "loss" not in log.steps:
        raise DataError(f"{path}: must hold at least one line with a loss, got none")
    return log


def _scores(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The headline numbers of a ``metrics.json``."""
    bbox, voc = metrics.get("bbox") or {}, metrics.get("voc") or {}
    found = {name: bbox.get(name) for name in ("AP", "AP50", "AP75")}
    found |= {f"{voc.get('metric', 'VOC')} mAP": voc.get("mAP")}
    found |= {name.replace("_", " ").replace("top", "top-"): metrics.get(name) for name in ("top1_error", "top5_error")}
    return {name: value for name, value in found.items() if value is not None}
