from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from resdet.engine.logging import JsonLog, drop_lines_after
from resdet.errors import DataError


def train_line(iteration: int) -> dict[str, Any]:
    return {"iteration": iteration, "lr": 0.1, "loss": 1.0 / iteration}


def eval_line(iteration: int) -> dict[str, Any]:
    return {"iteration": iteration, "eval": {"bbox": {"AP": 0.5, "APs": None}}, "score": 0.5}


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_on_disk_at_once_and_strict_json(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log.jsonl")
    log.write({"iteration": 1, "eval": {"AP": float("nan"), "list": [1.0, float("inf")]}, "score": float("-inf")})
    assert written(tmp_path / "log.jsonl") == [{"iteration": 1, "eval": {"AP": None, "list": [1.0, None]}, "score": None}]
    log.close()
    again = JsonLog(tmp_path / "log.jsonl")
    again.write(train_line(2))
    again.close()
    assert [line["iteration"] for line in written(tmp_path / "log.jsonl")] == [1, 2]


def test_lines_past_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [train_line(4), eval_line(4), train_line(8), eval_line(8), train_line(12)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"iteration": 16, "lo')
    assert drop_lines_after(path, 8) == 0.5
    assert written(path) == lines[:4]
    assert drop_lines_after(path, 7) is None
    assert written(path) == lines[:2]
    assert drop_lines_after(path, 0) is None
    assert path.read_text() == ""


def test_the_score_at_the_checkpoint_is_the_last_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for scores, expected in (([0.5, 0.25], 0.25), ([0.5, None], math.nan), ([1], 1.0)):
        path.write_text("".join(json.dumps({**eval_line(8), "score": score}) + "\n" for score in scores))
        assert drop_lines_after(path, 8) == pytest.approx(expected, nan_ok=True)
        assert drop_lines_after(path, 9) is None


def test_a_last_line_that_was_cut_within_a_letter_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = (json.dumps(train_line(4)) + "\n").encode()
    path.write_bytes(whole + '{"iteration": 8, "ä'.encode()[:-1])
    assert drop_lines_after(path, 8) is None
    assert path.read_bytes() == whole


def test_nothing_to_drop(tmp_path: Path) -> None:
    assert drop_lines_after(tmp_path / "log.jsonl", 0) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["", "{", "[1]", '{"loss": 1}', '{"iteration": "4"}', "\x00\x00"])
def test_damage_before_the_last_line(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "log.jsonl"
    content = f"{bad}\n{json.dumps(train_line(4))}\n"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        drop_lines_after(path, 8)
    assert caught.value.problems == (f"{path}:1: not a line of a training log: {bad!r}",)
    assert path.read_text() == content
