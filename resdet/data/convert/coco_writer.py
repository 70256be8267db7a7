"""COCO: ``annotations/instances_<split>.json`` and the images below ``<split>``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resdet.data.convert.written import Written
from resdet.data.dataset import DetectionDataset
from resdet.files import write_json


def write_coco(dataset: DetectionDataset, folder: Path, split: str, names: Sequence[str]) -> Written:
    """Write the instances file: numbers as they are in memory, all ids, and also the objects without area.

    VOC's difficult objects carry ``"difficult": 1``, which ``read_coco`` reads, and ``"ignore": 1``, which other tools know.
    """
    truth = dataset.ground_truth()
    for row, key in zip(truth["annotations"], dataset.annotation_ids.tolist(), strict=True):
        row["id"] = key  # ids that start below 1 stay; the evaluation moves them
    for row, name in zip(truth["images"], names, strict=True):
        row["file_name"] = name
    write_json(folder / "annotations" / f"instances_{split}.json", truth, indent=None)
    return Written([f"{split}/{name}" for name in names], [])
