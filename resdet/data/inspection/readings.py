"""Finds boxes that were written in one convention and read in another, by what of them leaves the images.

Legend: N boxes, read as ``x, y, width, height`` in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
# the kinds of findings on boxes that were misread
CONVENTIONS = (
    "boxes-as-fractions",
    "boxes-as-corners",
    "boxes-as-centres",
    "boxes-as-left-top",
    "boxes-with-swapped-axes",
)
_FEW = 3  # fewer boxes outside are single mistakes
_SHARE = 0.05  # as is a smaller share of them
_PIXEL = 1.0  # boxes that are off by one leave the image by so much


@dataclass(frozen=True)
class Reading:
    """Another convention that boxes may have been written in.

    Attributes:
        kind: a short name.
        text: what the numbers are in that convention.
        boxes: from boxes as they were read (N, 4) to boxes as they were meant (N, 4), both ``x, y, width, height``.
    """

    kind: str
    text: str
    boxes: Callable[[Boxes], Boxes]


def _from_corners(corners: Boxes) -> Boxes:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _centred(boxes: Boxes) -> Boxes:
    """The numbers of a line of YOLO's, in pixels: centre and size."""
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


_SWAP = [1, 0, 3, 2]
_OF_CORNERS = (  # the numbers in the file are the box as it is in memory
    Reading("boxes-as-corners", "corners x1, y1, x2, y2", _from_corners),
    Reading("boxes-with-swapped-axes", "y, x, height, width", lambda boxes: boxes[:, _SWAP]),
    Reading("boxes-as-corners", "corners y1, x1, y2, x2", lambda boxes: _from_corners(boxes[:, _SWAP])),
    Reading(
        "boxes-as-centres",
        "centre and size",
        lambda boxes: np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1),
    ),
)
_OF_CENTRES = (  # those of a label file of YOLO's
    Reading("boxes-as-corners", "corners x1, y1, x2, y2", lambda boxes: _from_corners(_centred(boxes))),
    Reading("boxes-with-swapped-axes", "y, x, height, width", lambda boxes: boxes[:, _SWAP]),
    Reading("boxes-as-left-top", "left, top, width, height", _centred),
)


def mistaken(boxes: Boxes, sizes: NDArray[np.int64], *, centred: bool = False) -> Reading | None:
    """The convention in which all boxes lie in their images, when too many do not as they were read.

    Args:
        boxes: (N, 4), as they were read.
        sizes: (N, 2), width and height of each box's image.
        centred: the file holds centres, as YOLO's do.

    Returns:
        None when the boxes are well as they are, or no other convention fits all of them.
    """
    away = int((~_inside(boxes, sizes)).sum())
    if away < max(_FEW, _SHARE * len(boxes)):
        return None
    readings = _OF_CENTRES if centred else _OF_CORNERS
    return next((reading for reading in readings if _inside(reading.boxes(boxes), sizes).all()), None)


def fractions(boxes: Boxes, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,): the boxes that lie within the first pixel of an image of 16 pixels or more, and are not that pixel itself."""
    ends = boxes[:, :2] + boxes[:, 2:]
    first = np.concatenate([boxes[:, :2] >= 0, ends <= 1, boxes[:, 2:] > 0, sizes >= 16], axis=1).all(1)
    found: NDArray[np.bool_] = first & (boxes != np.round(boxes)).any(1)
    return found


def _inside(boxes: Boxes, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,): the boxes of positive size that leave their images by a pixel at most."""
    ends = boxes[:, :2] + boxes[:, 2:]
    parts = [boxes[:, :2] >= -_PIXEL, ends <= sizes + _PIXEL, boxes[:, 2:] > 0]
    return np.asarray(np.concatenate(parts, axis=1).all(1), bool)
