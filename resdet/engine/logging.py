"""Writers of log lines, and the file of JSON lines.

A line is a dict. Training: ``iteration``, ``lr``, ``loss`` and each loss, ``time``, ``data_time``, ``eta``, ``memory``.
Evaluation: ``iteration``, ``eval`` (the metrics), ``score``. Options changed when the run was resumed, in the file alone:
``iteration``, ``change`` (old and new value by name).
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, Protocol

from resdet.errors import DataError
from resdet.files import json_ready, parse_json, write_text


class LogWriter(Protocol):
    """Takes log lines."""

    def write(self, record: dict[str, Any]) -> None:
        """Keep one line."""

    def close(self) -> None:
        """Finish: no more lines follow."""


class JsonLog:
    """Appends each line to a file at once; numbers that are not finite become null."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", newline="\n")

    def write(self, record: dict[str, Any]) -> None:
        """Append one line."""
        self._file.write(json.dumps(json_ready(record), allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def drop_lines_after(path: Path, iteration: int) -> float | None:
    """Delete the lines that were written after the checkpoint, because the run will write them again.

    Args:
        path: the JSON lines file; nothing happens when there is none.
        iteration: the iteration of the checkpoint; later lines are deleted, and so is a last line that was cut short.

    Returns:
        The score of the evaluation at the checkpoint's own iteration: NaN when it has no number, None when there was none.

    Raises:
        DataError: when a line before the last is not a JSON object with an iteration.
    """
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    records = [_record(line) for line in lines]
    broken = [number for number, record in enumerate(records[:-1], 1) if record is None]
    if broken:
        raise DataError([f"{path}:{number}: not a line of a training log: {lines[number - 1][:80]!r}" for number in broken])
    kept = [(line, record) for line, record in zip(lines, records, strict=True) if record and record["iteration"] <= iteration]
    write_text(path, "".join(f"{line}\n" for line, _ in kept))
    scores = [record.get("score") for _, record in kept if "eval" in record and record["iteration"] == iteration]
    if not scores:
        return None
    return math.nan if scores[-1] is None else float(scores[-1])


def has_evaluation(path: Path) -> bool:
    """Whether a JSON lines file, if there is one, holds the line of an evaluation."""
    if not path.exists():
        return False
    records = map(_record, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return any(record is not None and "eval" in record for record in records)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = parse_json(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("iteration"), int):
        return None
    score = record.get("score")
    # an integer of more digits than a float holds is no score either
    return record if score is None or (isinstance(score, (int, float)) and abs(score) <= sys.float_info.max) else None
