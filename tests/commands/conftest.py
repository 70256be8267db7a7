"""A small data set, and a run file of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resdet.cli import main


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    assert main(["data", "make", "shapes", str(folder), "--train", "8", "--val", "4", "--size", "64", "--seed", "3"]) == 0
    return folder


@pytest.fixture
def config(shapes: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    train, val = (
        {
            "format": "coco",
            "root": str(shapes / "images" / split),
            "annotations": str(shapes / f"annotations/instances_{split}.json"),
        }
        for split in ("train", "val")
    )
    path.write_text(json.dumps({"task": "detection", "data": {"train": [train], "val": val}}))
    return path
