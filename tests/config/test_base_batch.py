"""A learning rate carries the batch that it is for, and a new one does not inherit that of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.config import load_config
from resdet.config.schema import OptimizerConfig


def optimizer(folder: Path, text: str, *overrides: str) -> OptimizerConfig:
    """Of a run file on one with lr 0.02 for 16 images."""
    (folder / "base.yaml").write_text("task: detection\noptimizer: {lr: 0.02, base_batch: 16}\n")
    (folder / "run.yaml").write_text(f"base: base.yaml\n{text}\n")
    return load_config(folder / "run.yaml", overrides).optimizer


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("run: {batch: 2}", [], (0.02, 16)),
        ("optimizer: {momentum: 0.8}", [], (0.02, 16)),
        ("optimizer: {lr: 0.01}", [], (0.01, 0)),
        ("optimizer: {lr: 0.01, base_batch: 4}", [], (0.01, 4)),
        ("optimizer: {base_batch: 4}", [], (0.02, 4)),
        ("", ["optimizer.lr=0.01"], (0.01, 0)),
        ("", ["optimizer.lr=0.01", "optimizer.base_batch=4"], (0.01, 4)),
        ("", ["optimizer.base_batch=4", "optimizer.lr=0.01"], (0.01, 4)),
        ("", ["optimizer={lr: 0.01}"], (0.01, 0)),
        ("", ["run.batch=2"], (0.02, 16)),
    ],
)
def test_a_new_rate_drops_the_batch_of_the_old_one(
    tmp_path: Path, text: str, overrides: list[str], expected: tuple[float, int]
) -> None:
    found = optimizer(tmp_path, text, *overrides)
    assert (found.lr, found.base_batch) == expected
