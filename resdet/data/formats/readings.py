"""Finds boxes that were written in one convention and read in another, by what of them leaves the images.

Legend: N boxes, read as ``x, y, width, height`` in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdet.data.convention import Convention

Boxes = NDArray[np.float64]
Sizes = NDArray[np.int64]
# the kinds of findings on boxes that were misread
CONVENTIONS = (
    "boxes-as-fractions",
    "boxes-as-hundredths",
    "boxes-as-thousandths",
    "boxes-as-pixels",
    "boxes-as-corners",
    "boxes-as-centres",
    "boxes-as-left-top",
    "boxes-with-swapped-axes",
)
# pixels; a box that reaches out by less was rounded, as by a file that gives three or four digits of a fraction
ROUNDED = 0.5
NO_FRACTION = 2  # a centre so many sides from the image's corner is no fraction
# from a box of a file that counts both ends, as VOC's do, to one whose numbers are the file's
BOTH_ENDS = np.array([1.0, 1.0, -1.0, -1.0])
_FEW = 3  # fewer boxes outside are single mistakes
_SHARE = 0.05  # as is a smaller share of them
_PIXEL = 1.0  # boxes that are off by one leave the image by so much
_SURE = 20  # so many boxes tell by their numbers alone what they are
_HUNDREDTHS = 5  # lines of YOLO's that reach so far; as pixels, all would lie in one corner
_LARGER = 200  # pixels of images that would have objects beyond the first hundred
_BROKEN = 0.5  # of the boxes; hundredths are seldom whole numbers, pixels often
_NEARLY = 0.9  # of the greatest share of a side, which some of many boxes reach in both directions
_SPREAD = 0.01  # of a side, by which numbers must differ to be compared
_ALONG = 0.5  # correlation of a corner with the one before it; that of a box's size with its place is 0 or less


@dataclass(frozen=True)
class Reading:
    """Another convention that boxes may have been written in.

    Attributes:
        kind: a short name.
        text: what the numbers are in that convention.
        boxes: from boxes as they were read (N, 4) and width and height of their images (N, 2) to boxes as they were meant
            (N, 4), both ``x, y, width, height``.
        sign: what shows it where no box leaves its image; "": that boxes do.
    """

    kind: str
    text: str
    boxes: Callable[[Boxes, Sizes], Boxes]
    sign: str = ""


def _from_corners(corners: Boxes, _: Sizes) -> Boxes:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _centred(boxes: Boxes, _: Sizes) -> Boxes:
    """The numbers of a line of YOLO's, in pixels: centre and size."""
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def _swapped(boxes: Boxes, _: Sizes) -> Boxes:
    return boxes[:, _SWAP]


def _shares_of(whole: float) -> Callable[[Boxes, Sizes], Boxes]:
    return lambda boxes, sizes: boxes * np.concatenate([sizes, sizes], axis=1) / whole


def _shares_of_sides(boxes: Boxes, sizes: Sizes) -> Boxes:
    return boxes / np.concatenate([sizes, sizes], axis=1)


def turned_round(boxes: Boxes, pixel: float = 0.0) -> Boxes:
    """Boxes that end before they begin from their other end on; of files that count both ends, ``pixel`` is 1."""
    back = boxes[:, 2:] < 0
    begins = np.where(back, boxes[:, :2] + boxes[:, 2:] - pixel, boxes[:, :2])
    return np.concatenate([begins, np.where(back, 2 * pixel - boxes[:, 2:], boxes[:, 2:])], axis=1)


_SWAP = [1, 0, 3, 2]
_SWAPPED = Reading("boxes-with-swapped-axes", "y, x, height, width", _swapped)
_OF_CORNERS = (  # the numbers in the file are the box as it is in memory
    Reading("boxes-as-corners", "corners x1, y1, x2, y2", _from_corners),
    _SWAPPED,
    Reading("boxes-as-corners", "corners y1, x1, y2, x2", lambda boxes, sizes: _from_corners(boxes[:, _SWAP], sizes)),
    Reading(
        "boxes-as-centres",
        "centre and size",
        lambda boxes, _: np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1),
    ),
)
_OF_CENTRES = (  # those of a label file of YOLO's
    Reading("boxes-as-corners", "corners x1, y1, x2, y2", lambda boxes, sizes: _from_corners(_centred(boxes, sizes), sizes)),
    _SWAPPED,
    Reading("boxes-as-left-top", "left, top, width, height", _centred),
)
_BY_NUMBERS = (
    Reading(
        "boxes-as-corners",
        "corners x1, y1, x2, y2",
        _from_corners,
        "each third and fourth number exceeds the first two, and grows with them",
    ),
    Reading("boxes-as-hundredths", "hundredths of the sides", _shares_of(100), "none is above 100"),
)
_THOUSANDTHS = Reading("boxes-as-thousandths", "thousandths of the sides", _shares_of(1000))
_OF_PIXELS = (  # label files of YOLO's that hold no fractions
    Reading("boxes-as-pixels", "centre and size in pixels", _shares_of_sides),
    Reading(
        "boxes-as-pixels",
        "corners x1, y1, x2, y2 in pixels",
        lambda boxes, sizes: _from_corners(_centred(_shares_of_sides(boxes, sizes), sizes), sizes),
    ),
    Reading("boxes-as-thousandths", "thousandths of the sides", lambda boxes, _: boxes / 1000),
)
_OF_REVERSED = (  # files that hold left, top, right and bottom
    Reading(
        "boxes-as-left-top",
        "left, top, width, height",
        lambda boxes, _: np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
    ),
    Reading(
        "boxes-as-centres",
        "centre and size",
        lambda boxes, _: np.concatenate([(boxes[:, :2] - boxes[:, 2:]) / 2, boxes[:, :2] + boxes[:, 2:]], axis=1),
    ),
    Reading("box-reversed", "opposite corners in any order", lambda boxes, _: turned_round(boxes)),
)
_OF_SIGNED = (Reading("box-reversed", "any corner, and the way to the opposite one", lambda boxes, _: turned_round(boxes)),)


def mistaken(boxes: Boxes, sizes: NDArray[np.int64], *, centred: bool = False) -> Reading | None:
    """The convention in which all boxes lie in their images, when too many do not as they were read.

    Args:
        boxes: (N, 4), as they were read.
        sizes: (N, 2), width and height of each box's image.
        centred: the file holds centres, as YOLO's do.

    Returns:
        None when the boxes are well as they are, or no other convention fits all of them.
    """
    away = int((~inside(boxes, sizes)).sum())
    if away == 0 and not centred:
        return _by_numbers(boxes, sizes)
    if away < max(_FEW, _SHARE * len(boxes)):
        return None
    readings = [_THOUSANDTHS] if _reach(boxes, 1000) else []
    readings += _OF_CENTRES if centred else _OF_CORNERS
    return _first_fit(readings, boxes, sizes)


def reversed_boxes(boxes: Boxes, sizes: Sizes, *, cornered: bool) -> Reading | None:
    """The convention in which all boxes lie in their images, when some end before they begin.

    Args:
        boxes: as above.
        sizes: as above.
        cornered: the file holds two corners of each box, not one and the size.
    """
    few = (boxes[:, 2:] < 0).any(1).sum() < _FEW
    return None if few else _first_fit(_OF_REVERSED if cornered else _OF_SIGNED, boxes, sizes)


def no_fractions(boxes: Boxes, sizes: Sizes) -> tuple[NDArray[np.bool_], Reading | None]:
    """Boxes of YOLO's that no fractions can be (N,), and what they all are, None in doubt; all boxes, where most are so."""
    raw = _shares_of_sides(boxes, sizes)
    rows = np.asarray(((raw[:, :2] + raw[:, 2:] / 2) > NO_FRACTION).any(1), bool)
    if rows.sum() > len(rows) / 2:
        rows[:] = True
    if not rows.any():
        return rows, None
    if raw[rows].max() <= 100 and np.median(sizes[rows]) >= _LARGER:  # of pixels some would be above 100
        ends = (raw[rows, :2] + raw[rows, 2:]).max(0)
        sure = rows.sum() >= _HUNDREDTHS and bool((ends >= 50).all() and (ends <= 100 + _PIXEL).all())
        hundredths = Reading("boxes-as-hundredths", "hundredths of the sides", lambda boxes, _: boxes / 100)
        return rows, hundredths if sure else None
    return rows, _first_fit(_OF_PIXELS, boxes[rows], sizes[rows])


def readings_of(convention: Convention) -> Sequence[Reading]:
    """The other conventions that some boxes of files of this one may be written in."""
    if convention.cornered:
        return (*_OF_REVERSED[:-1], _SWAPPED)
    return _OF_CENTRES if convention.centred else _OF_CORNERS


def wrong_boxes(boxes: Boxes, sizes: Sizes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks (N,): boxes that end before they begin, and others that have no part in their image."""
    ends = boxes[:, :2] + boxes[:, 2:]
    back = np.asarray((boxes[:, 2:] < 0).any(1), bool)
    away = np.asarray(((boxes[:, :2] >= sizes) | (ends <= 0)).any(1) & (boxes[:, 2:] > 0).all(1), bool)
    return back, away


def _first_fit(readings: Sequence[Reading], boxes: Boxes, sizes: Sizes) -> Reading | None:
    return next((reading for reading in readings if inside(reading.boxes(boxes, sizes), sizes).all()), None)


def _by_numbers(boxes: Boxes, sizes: Sizes) -> Reading | None:
    """What boxes that all lie in their images were meant to be, where their numbers leave no doubt."""
    if len(boxes) < _SURE:
        return None
    corners, hundredths = _BY_NUMBERS
    if _reach(boxes, 100) and np.median(sizes) >= _LARGER and (boxes != np.round(boxes)).any(1).mean() > _BROKEN:
        return hundredths
    shares = boxes / np.concatenate([sizes, sizes], axis=1)  # else large and small images alone would tie all four together
    if (boxes[:, 2:] > boxes[:, :2]).all() and shares.std(0).min() > _SPREAD:
        along = [np.corrcoef(shares[:, axis], shares[:, axis + 2])[0, 1] for axis in (0, 1)]
        sides = shares[:, 2:] - shares[:, :2]  # of what is larger the further right and down it is, these grow as well
        left = [np.corrcoef(shares[:, axis], sides[:, axis])[0, 1] if sides[:, axis].std() else 0.0 for axis in (0, 1)]
        return corners if min(along) > _ALONG and min(left) < _ALONG else None
    return None


def _reach(boxes: Boxes, whole: float) -> bool:
    """Whether boxes go as far as ``whole`` in both directions, and no further."""
    ends = (boxes[:, :2] + boxes[:, 2:]).max(0)
    return len(boxes) >= _SURE and bool((ends >= _NEARLY * whole).all() and (ends <= whole).all() and boxes.min() >= -_PIXEL)


def fractions(boxes: Boxes, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,): the boxes that lie within the first pixel of an image of 16 pixels or more, and are not that pixel itself.

    Those of VOC's files begin a pixel sooner, and end where they should, see ``from_fractions``.
    """
    begins, ends = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    first = np.concatenate([begins >= 0, ends <= 1, boxes[:, 2:] > 0, sizes >= 16], axis=1).all(1)
    of_voc = np.concatenate([begins >= -1, begins <= 0, ends >= 0, ends <= 1, boxes[:, 2:] >= 1, sizes >= 16], axis=1).all(1)
    found: NDArray[np.bool_] = (first | of_voc) & (boxes != np.round(boxes)).any(1)
    return found


def from_fractions(boxes: Boxes, sizes: Sizes) -> Boxes:
    """Boxes that ``fractions`` marks, as they were meant; those of VOC had a pixel taken off their begin."""
    of_voc = (boxes[:, :2] < 0).any(1, keepdims=True)
    meant = boxes + of_voc * BOTH_ENDS
    return meant * np.concatenate([sizes, sizes], axis=1)


def inside(boxes: Boxes, sizes: Sizes) -> NDArray[np.bool_]:
    """(N,): the boxes of positive size that leave their images by a pixel at most."""
    ends = boxes[:, :2] + boxes[:, 2:]
    parts = [boxes[:, :2] >= -_PIXEL, ends <= sizes + _PIXEL, boxes[:, 2:] > 0]
    return np.asarray(np.concatenate(parts, axis=1).all(1), bool)
