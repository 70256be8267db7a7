"""A small data set, a run file of it, and weights of untrained networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resdet.cli import main
from resdet.models.backbones.registry import create_backbone


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


@pytest.fixture
def weights(tmp_path: Path) -> Callable[[str], str]:
    """Writes the foreign weights file of an untrained network."""

    def write(name: str, classes: int = 10) -> str:
        torch.manual_seed(0)
        torch.save(create_backbone(name, num_classes=classes, width=4).state_dict(), tmp_path / f"{name}.pth")
        return str(tmp_path / f"{name}.pth")

    return write
