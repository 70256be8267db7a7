"""How well anchors cover the objects of a data set, which other anchors would do better, and which objects are too small.

Legend: N objects that are trained on, A anchors of a position. An object's side is the square root of its area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from resdet.config.schema import DetectionDataConfig, DetectorConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.finding import Finding, object_place, owners
from resdet.data.transforms.sizes import resized_size

STRIDE = 16  # of the C4 map, pixels
_REACH = math.sqrt(0.7)  # sides of two squares around one centre whose IoU is 0.7, from which on an anchor is positive
_POOR = 0.5  # recall at IoU 0.5
_BETTER = 0.1  # recall that other anchors must gain to be worth a word
_ROUNDS = 100
_LARGEST = 2000  # pixels of a shorter side that is still worth a try
_SMALL_BOXES = "see whether the boxes are in pixels of these images: `resdet data view`"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """How large a network sees the images, and with which anchors.

    Attributes:
        short_side, max_side: the shorter side, and the longer at most, pixels.
        sizes: square roots of the anchors' areas, pixels of the resized image.
        ratios: the anchors' height / width.
        chosen: somebody chose the anchors; those of data without a run file are chosen when training is planned.
    """

    short_side: int = 600
    max_side: int = 1000
    sizes: tuple[float, ...] = field(default=(32.0, 64.0, 128.0, 256.0, 512.0))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    chosen: bool = False

    @classmethod
    def of(cls, data: DetectionDataConfig, model: DetectorConfig) -> Scale:
        """The scale of a run; of several shorter sides the middle one."""
        sides = sorted(data.short_side)
        return cls(sides[len(sides) // 2], data.max_side, tuple(model.anchors.sizes), tuple(model.anchors.ratios), chosen=True)


def trained_rows(dataset: DetectionDataset) -> NDArray[np.int64]:
    """int64 (N,): the rows of the objects that are trained on, those with an area that are not ignored."""
    found: NDArray[np.int64] = np.flatnonzero(~dataset.ignore & ~dataset.empty)
    return found


def resized_boxes(dataset: DetectionDataset, scale: Scale) -> Floats:
    """float64 (N, 4): the objects that are trained on as ``x, y, width, height``, clipped, in pixels of the resized images."""
    sizes = {tuple(size): resized_size(tuple(size), scale.short_side, scale.max_side) for size in dataset.sizes.tolist()}
    resized = np.array([sizes[tuple(size)] for size in dataset.sizes.tolist()], np.float64).reshape(-1, 2)
    rows = trained_rows(dataset)
    images = owners(dataset)[rows]
    limit = dataset.sizes[images, ::-1]
    low = np.clip(dataset.boxes[rows, :2], 0, limit)
    high = np.clip(dataset.boxes[rows, :2] + dataset.boxes[rows, 2:], 0, limit)
    times = resized[images, ::-1] / limit
    return np.concatenate([low * times, (high - low) * times], axis=1)


def best_overlaps(boxes: Floats, sizes: Sequence[float], ratios: Sequence[float]) -> Floats:
    """float64 (N,): the IoU of each box ``x, y, width, height`` with the best anchor, at the position nearest to its centre."""
    heights = np.array([size * math.sqrt(ratio) for size in sizes for ratio in ratios])
    widths = np.array([size / math.sqrt(ratio) for size in sizes for ratio in ratios])
    off = np.abs((boxes[:, :2] + boxes[:, 2:] / 2 + STRIDE / 2) % STRIDE - STRIDE / 2)
    common = np.ones((len(boxes), len(widths)))
    for axis, sides in enumerate((widths, heights)):
        own = boxes[:, 2 + axis, None]
        common *= np.clip(np.minimum(np.minimum(own, sides), (own + sides) / 2 - off[:, axis, None]), 0, None)
    areas = boxes[:, 2:].prod(1)[:, None] + widths * heights
    best: Floats = (common / (areas - common)).max(1)
    return best


def recall(boxes: Floats, sizes: Sequence[float], ratios: Sequence[float], iou: float) -> float:
    """The share of boxes whose best anchor has an IoU of ``iou`` or more; 1 without boxes."""
    return float((best_overlaps(boxes, sizes, ratios) >= iou).mean()) if len(boxes) else 1.0


def suggested_anchors(boxes: Floats, sizes: int, ratios: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Sizes and ratios at the centres of as many clusters of the boxes' sides and shapes (k-means of their logarithms)."""
    width, height = boxes[:, 2], boxes[:, 3]
    found_sizes = np.exp(_centres(np.log(width * height) / 2, sizes))
    found_ratios = np.exp(_centres(np.log(height / width), ratios))
    return tuple(dict.fromkeys(np.round(found_sizes).tolist())), tuple(dict.fromkeys(np.round(found_ratios, 2).tolist()))


def anchor_findings(dataset: DetectionDataset, scale: Scale) -> list[Finding]:
    """Classes whose objects are too small for the network, and anchors that miss many objects, in a training set."""
    boxes = resized_boxes(dataset, scale)
    if not len(boxes):
        return []
    return _small(dataset, boxes, scale) or (_missed(dataset, boxes, scale) if scale.chosen else [])


def _small(dataset: DetectionDataset, boxes: Floats, scale: Scale) -> list[Finding]:
    """Classes whose median object has an IoU below 0.7 with the smallest anchor around it, or is smaller than the stride."""
    rows = trained_rows(dataset)
    sides, labels = np.sqrt(boxes[:, 2] * boxes[:, 3]), dataset.labels[rows]
    medians = {label: float(np.median(sides[labels == label])) for label in np.unique(labels).tolist()}
    seen = max(min(scale.sizes), STRIDE)
    small = sorted((median, label) for label, median in medians.items() if median < max(_REACH * min(scale.sizes), STRIDE))
    if not small:
        return []
    own = np.isin(labels, [label for _, label in small])
    place = object_place(dataset, int(rows[own][sides[own].argmin()]))
    shown = ", ".join(f"{dataset.names[label]!r} {median:.0f}" for median, label in small[:5]) + ", …" * (len(small) > 5)
    message = (
        f"{int(own.sum())} objects of {len(small)} classes are small at shorter side {scale.short_side}, with a median side "
        f"in pixels of {shown}, for a smallest anchor of {min(scale.sizes):g} and a stride of {STRIDE}"
    )
    median = small[len(small) // 2][0]
    side = _up(scale.short_side * seen / median, 16)
    remedy = f"raise data.short_side to {side}"
    if side > _LARGEST:
        return [Finding("objects-small", place, int(own.sum()), message, f"cut the images into tiles, or {_SMALL_BOXES}")]
    if median >= STRIDE and (size := _up(median, 4)) not in scale.sizes:
        remedy += f", or add an anchor: model.anchors.sizes={_list((size, *scale.sizes))}"
    return [Finding("objects-small", place, int(own.sum()), message, remedy)]


def _missed(dataset: DetectionDataset, boxes: Floats, scale: Scale) -> list[Finding]:
    """Anchors that lie on few of the objects, where others would lie on more."""
    best = best_overlaps(boxes, scale.sizes, scale.ratios)
    reached = float((best >= 0.5).mean())
    sizes, ratios = suggested_anchors(boxes, len(scale.sizes), len(scale.ratios))
    other = recall(boxes, sizes, ratios, 0.5)
    if reached >= _POOR or other < reached + _BETTER:
        return []
    place = object_place(dataset, int(trained_rows(dataset)[best.argmin()]))
    missed = int((best < 0.5).sum())
    message = f"no anchor overlaps {missed} of {len(boxes)} objects by an IoU of 0.5, at shorter side {scale.short_side}"
    words = f"model.anchors.sizes={_list(sizes)} model.anchors.ratios={_list(ratios)}"
    return [Finding("anchors-miss-objects", place, missed, message, f"{words} leave {1 - other:.0%}")]


def _centres(values: Floats, count: int) -> Floats:
    """The centres of ``count`` clusters of numbers, sorted; they begin at quantiles, so that the result is always the same."""
    centres = np.unique(np.quantile(values, (np.arange(count) + 0.5) / count))
    for _ in range(_ROUNDS):
        nearest = np.abs(values[:, None] - centres).argmin(1)
        moved = np.array([values[nearest == place].mean() for place in np.unique(nearest)])
        if len(moved) == len(centres) and np.allclose(moved, centres, rtol=0, atol=1e-9):
            break
        centres = moved
    return centres


def _up(value: float, step: int) -> int:
    """The least multiple of ``step`` that is not below ``value``."""
    return math.ceil(value / step) * step


def _list(values: Sequence[float]) -> str:
    return f"[{','.join(f'{value:g}' for value in values)}]"
