from __future__ import annotations

from pathlib import Path

import pytest
from good_set import GoodSet

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.coco import read_coco


@pytest.fixture
def small_set(tmp_path: Path) -> DetectionDataset:
    """The training part of the good set, in COCO's format."""
    good = GoodSet(tmp_path / "good", "coco")
    good.write()
    return read_coco(good.folder / "images" / "train", good.folder / "train.json")
