"""Ground truth and detections as rows of numbers, by hand and at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import GroundTruth


def truth_of(rows: Sequence[Sequence[float]], images: int = 1, names: Sequence[str] = ("cat", "dog")) -> GroundTruth:
    """Objects ``image, class, x, y, width, height`` in images of 100 x 100 pixels."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    none = np.zeros(len(table), dtype=np.bool_)
    return GroundTruth(
        image_ids=tuple(range(1, images + 1)),
        category_ids=tuple(range(1, len(names) + 1)),
        names=tuple(names),
        sizes=np.full((images, 2), 100.0),
        image=table[:, 0].astype(np.int64),
        category=table[:, 1].astype(np.int64),
        boxes=table[:, 2:],
        area=table[:, 4] * table[:, 5],
        crowd=none,
        difficult=none,
    )


def crowded_truth(rows: Sequence[Sequence[float]], crowds: Sequence[int]) -> GroundTruth:
    """The same, some of the rows being crowds."""
    truth = truth_of(rows)
    return replace(truth, crowd=np.isin(np.arange(len(rows)), crowds))


def detections(rows: Sequence[Sequence[float]]) -> DetectionColumns:
    """Detections ``image, class, x, y, width, height, score``."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return DetectionColumns(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:6], table[:, 6])


def random_set(seed: int, images: int = 30) -> tuple[GroundTruth, DetectionColumns]:
    """Objects of three classes and detections of every kind: near them, of other classes, twice, and anywhere."""
    generator = np.random.default_rng(seed)
    count = 4 * images
    corner, sides = generator.uniform(0, 60, (count, 2)), generator.uniform(8, 40, (count, 2))
    image, label = generator.integers(0, images, count), generator.integers(0, 3, count)
    objects = np.column_stack([image, label, corner, sides])
    parts = []
    for spread, seen in ((2, 0.8), (6, 0.5), (2, 0.3)):
        near = objects[generator.random(count) < seen].copy()
        near[:, 2:] = np.maximum(near[:, 2:] + generator.normal(0, spread, (len(near), 4)), 1)
        other = generator.random(len(near)) < 0.2
        near[other, 1] = generator.integers(0, 3, other.sum())
        parts.append(near)
    places = np.column_stack([generator.integers(0, images, count), generator.integers(0, 3, count)])
    parts.append(np.column_stack([places, generator.uniform(0, 60, (count, 2)), generator.uniform(8, 40, (count, 2))]))
    rows = np.concatenate(parts)
    table = np.column_stack([rows, generator.random(len(rows))])
    return truth_of(objects.tolist(), images, ("cat", "dog", "emu")), detections(table.tolist())
