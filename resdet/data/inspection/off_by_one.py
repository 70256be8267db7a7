"""Boxes whose edges stop a pixel before or behind the images' edges, as those of a file that counts pixels otherwise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.finding import limits

Boxes = NDArray[np.float64]
Mask = NDArray[np.bool_]
_FEW = 3  # boxes that stop a pixel outside the image; fewer are chance
_MANY = 8  # boxes that stop at an edge, or a pixel inside the image where none reaches it
_SPIKE = 3  # … and so many times more than stop a pixel further inside
_NEAR = 0.01  # pixels: what fractions written with six digits are off by


class OffByOne(NamedTuple):
    """What the edges of boxes show.

    Attributes:
        rows: (N,), the boxes that show it.
        text: what they do.
        boxes: all boxes as they were meant; None where the numbers leave a doubt.
        how: what was meant, in words: how to write the numbers.
    """

    rows: Mask
    text: str
    boxes: Boxes | None
    how: str


def off_by_one(dataset: DetectionDataset, among: Mask) -> OffByOne | None:
    """That boxes begin or end a pixel too soon or too late; None where nothing shows it.

    Sure of it we are where both ends show where they stop: many boxes stop at one place, and hardly any beside it.

    Args:
        dataset: the data set.
        among: (N,), the boxes that are looked at.
    """
    boxes, sizes = dataset.boxes, limits(dataset)
    distances = boxes[:, :2], sizes - boxes[:, :2] - boxes[:, 2:]
    seen = [_seen(distance[among]) for distance in distances]
    steps = [step for step, _ in seen]
    told = [number for number, step in enumerate(steps) if step]
    if not told:
        return None
    first = told[0]
    rows = among & (np.abs(distances[first] - steps[first]) < _NEAR).any(1)
    text = {
        (0, -1): "begin a pixel before the first",
        (0, 1): "begin at the second pixel, and none at the first",
        (1, -1): "end a pixel behind the last",
        (1, 1): "end a pixel before the last, and none at it",
    }[first, steps[first] or 0]
    edges = (("left and top", "less", "more"), ("right and bottom", "more", "less"))
    ways = [
        f"{edge} a pixel {more if step > 0 else less}" for (edge, more, less), step in zip(edges, steps, strict=True) if step
    ]
    how = " and ".join(ways)
    if not all(sure for _, sure in seen):
        return OffByOne(rows, text, None, how)
    begins = boxes[:, :2] - (steps[0] or 0)
    ends = boxes[:, :2] + boxes[:, 2:] + (steps[1] or 0)
    meant = np.where(among[:, None], np.concatenate([begins, ends - begins], axis=1), boxes)
    well = (meant[among, 2:] > 0).all() and (meant[among, :2] > -_NEAR).all() and (ends[among] < sizes[among] + _NEAR).all()
    return OffByOne(rows, text, meant if well else None, how)


def _seen(distance: Boxes) -> tuple[int, bool]:
    """How far from the images' edges boxes stop that should stop there, in pixels to their inside, and whether that is sure.

    Args:
        distance: (N, 2), how far inside of the two edges each box stops, pixels.
    """
    outside, edge, inside, further = (int((np.abs(distance - step) < _NEAR).any(1).sum()) for step in (-1, 0, 1, 2))
    beyond = int((distance < -_NEAR).any(1).sum()) - outside
    if outside >= _FEW and beyond <= 0:
        return -1, outside >= max(_MANY, _SPIKE * edge)
    if edge == 0 and outside == 0 and inside >= max(_MANY, _SPIKE * max(further, 1)):
        return 1, True
    return 0, outside == 0 and beyond <= 0 and edge >= max(_MANY, _SPIKE * inside)
