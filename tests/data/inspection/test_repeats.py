"""Repeated objects, and classes without any, against hotcoco's health check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import hotcoco
import numpy as np

from resdet.data.dataset import DetectionDataset
from resdet.data.inspection.boxes import repeats
from resdet.data.inspection.classes import object_counts, unused_findings


def with_copies(dataset: DetectionDataset, seed: int) -> DetectionDataset:
    """Some objects moved onto, or nearly onto, an earlier one of their image, of its class or another."""
    rng = np.random.default_rng(seed)
    boxes, labels = dataset.boxes.copy(), dataset.labels.copy()
    for first, last in zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True):
        for row in range(first + 1, last):
            if rng.random() < 0.5:
                model = rng.integers(first, row)
                boxes[row] = boxes[model] + rng.choice([0, 0.1, 2], 1) * (rng.random(4) < 0.5)
                labels[row] = labels[model] if rng.random() < 0.7 else labels[row]
    return replace(dataset, boxes=boxes, labels=labels)


def health(dataset: DetectionDataset, folder: Path) -> dict[str, list[int]]:
    path = folder / "truth.json"
    path.write_text(json.dumps(dataset.ground_truth()))
    return {row["code"]: row["affected_ids"] for row in hotcoco.COCO(str(path)).healthcheck()["warnings"]}


def test_repeated_objects_are_those_that_hotcoco_finds(small_set: DetectionDataset, tmp_path: Path) -> None:
    found = 0
    for seed in range(10):
        dataset = with_copies(small_set, seed)
        twice, nearly, _ = repeats(dataset)
        assert not (twice & nearly).any()
        # hotcoco names both members of a pair
        told = set(health(dataset, tmp_path).get("near_duplicate", []))
        mine = set(dataset.annotation_ids[twice | nearly].tolist())
        assert mine <= told
        owners = np.repeat(np.arange(len(dataset)), np.diff(dataset.offsets))
        images = {dataset.annotation_ids[row]: owners[row] for row in range(len(owners))}
        assert {images[key] for key in mine} == {images[key] for key in told}
        found += len(mine)
    assert found > 50


def test_classes_without_objects_are_those_that_hotcoco_finds(small_set: DetectionDataset, tmp_path: Path) -> None:
    dataset = replace(small_set, labels=np.where(small_set.labels == 1, 2, small_set.labels))
    assert health(dataset, tmp_path)["zero_instance_category"] == [2]
    (finding,) = unused_findings(dataset, None)
    assert "'pear'" in finding.message
    assert object_counts(dataset).tolist() == [30, 0, 60]


def test_crowds_repeat_nothing(small_set: DetectionDataset) -> None:
    dataset = with_copies(small_set, 0)
    assert not any(mask.any() for mask in repeats(replace(dataset, crowd=np.ones_like(dataset.crowd))))
