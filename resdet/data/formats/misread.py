"""Finds the images whose boxes were written in another convention than the rest of their data set.

Legend: N boxes, read as ``x, y, width, height`` in pixels; M images. A box strays that leaves
its image, or ends before it begins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resdet.data.convention import Convention
from resdet.data.formats.readings import Boxes, Reading, Sizes, inside, readings_of

Mask = NDArray[np.bool_]
_FEW = 3  # fewer boxes are single mistakes
_MOST = 0.9  # of the boxes that stray
_HALF = 0.5  # of a box; boxes of objects that an image cuts off seldom leave more outside
_CHANCE = 1e-3  # that so many images fit by chance
_WRONG = 0.1  # of the images that fit may do so by chance
_SIDE = 0.15  # of a box, by which the median of those that were moved by half their size leaves the image
_MANY = 8  # of such boxes, for they stray no further than those of objects that are cut off
_TOLD = 0.25  # of the images of a folder; if so many were written so, and …
_AGAINST = 0.02  # … hardly any surely was not, all were that may be


class Part(NamedTuple):
    """A part of a data set that another convention explains.

    Attributes:
        reading: the convention.
        others: what is as likely, in words.
        astray: (N,), the boxes that stray, and that lie inside in it with all others of their images.
        rows: (N,), the boxes of the images that were written in it.
        images: how many images these are.
        alike: how many images fit it as well as the set's own, so that their numbers do not tell.
    """

    reading: Reading
    others: tuple[str, ...]
    astray: Mask
    rows: Mask
    images: int
    alike: int

    @property
    def told(self) -> str:
        """What is known, for messages."""
        text = " (or, as likely, ".join([self.reading.text, *self.others]) + ")" * len(self.others)
        doubt = f"; {self.alike} more images fit both ways" if self.alike else ""
        count = f"{self.astray.sum()} boxes leave their images or are reversed, and lie inside"
        return f"{count} with all others of their {self.images} images when read as {text}{doubt}"


def misread_part(
    boxes: Boxes, sizes: Sizes, owners: NDArray[np.int64], convention: Convention, folders: NDArray[np.int64] | None = None
) -> Part | None:
    """The images of a data set that were written in another convention; None where the evidence is not strong.

    An image speaks for a convention when boxes of it stray, and all of them lie inside in that one. Boxes of objects that an
    image cuts off may stray too: so images must be explained that hold nearly all boxes of which more than half is outside, or
    far more images than by chance, which the images without boxes that stray tell.

    Args:
        boxes: (N, 4), as they were read.
        sizes: (N, 2), width and height of each box's image.
        owners: (N,), the number of each box's image, from 0.
        convention: how the files hold boxes.
        folders: (M,), the number of each image's folder; one for all where none is given.
    """
    strays = _straying(boxes, sizes)
    if strays.sum() < _FEW:
        return None
    count = int(owners.max()) + 1
    folders = np.zeros(count, np.int64) if folders is None else folders[:count]
    found: list[tuple[Reading, Mask, Mask]] = []  # the best, and those that explain as much
    for reading in readings_of(convention):
        read = reading.boxes(boxes, sizes)
        fits = inside(read, sizes) | (boxes[:, 2:].min(1) == 0)
        whole = _all_of_image(fits, owners, count)
        astray = strays & whole[owners]
        least = max(_FEW, int(found[0][1].sum()) if found else 0)
        if astray.sum() >= least and _sure(read, boxes, sizes, strays, owners, whole):
            found = [*(found if astray.sum() == least else []), (reading, astray, whole)]
    if not found:
        return None
    reading, astray, whole = found[0]
    others = tuple(other.text for other, *_ in found[1:])
    struck = ~_all_of_image(~astray, owners, count)
    full = np.bincount(owners, minlength=count) > 0
    against = full & ~whole & _all_of_image(~strays, owners, count)
    images = struck.copy()
    for folder in np.unique(folders[struck]):
        mine = full & (folders == folder)
        if struck[mine].mean() >= _TOLD and against[mine].mean() <= _AGAINST:
            images |= mine & whole
    rows = images[owners] & inside(reading.boxes(boxes, sizes), sizes)
    alike = full & whole & ~images & _all_of_image(~strays, owners, count)
    return Part(reading, others, astray, rows, int(images.sum()), int(alike.sum()))


def _straying(boxes: Boxes, sizes: Sizes) -> Mask:
    """(N,): boxes that leave their images, or end before they begin; those without area tell nothing."""
    return np.asarray(~inside(boxes, sizes) & (boxes[:, 2:].min(1) != 0))


def _all_of_image(rows: Mask, owners: NDArray[np.int64], count: int) -> Mask:
    """(M,): the images all of whose boxes are in ``rows``."""
    return np.asarray(np.bincount(owners[~rows], minlength=count) == 0)


def _sure(read: Boxes, boxes: Boxes, sizes: Sizes, strays: Mask, owners: NDArray[np.int64], whole: Mask) -> bool:
    """Whether the boxes that stray leave no doubt that their images are of this reading."""
    astray = strays & whole[owners]
    begins, ends = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    if np.allclose(read[:, 2:], boxes[:, 2:]):  # boxes were but moved, by half their size
        out = np.concatenate([-begins, ends - sizes], axis=1)[strays]
        side = np.concatenate([boxes[:, 2:]] * 2, axis=1)[strays]
        left, top, right, bottom = (out > 0).sum(0).tolist()
        one_way = not (left + top and right + bottom) and max(min(left, top), min(right, bottom)) >= _FEW
        far = float(np.median((out / side).max(1))) >= _SIDE
        return one_way and far and astray.sum() >= max(_MANY, _MOST * strays.sum())
    struck, full = np.unique(owners[strays]), np.unique(owners)
    calm = np.setdiff1d(full, struck)
    usual = (whole[calm].sum() + 1) / (len(calm) + 2)  # the share of images that fit by chance
    fitting, others = int(whole[struck].sum()), int((~whole[struck]).sum())
    if others * usual / (1 - usual) > _WRONG * fitting:
        return False
    seen = (np.minimum(ends, sizes) - np.maximum(begins, 0)).clip(0).prod(1)
    deep = strays & (boxes[:, 2:] > 0).all(1) & (seen < _HALF * boxes[:, 2:].prod(1))
    if (deep & astray).sum() >= max(_FEW, _MOST * deep.sum()):
        return True
    share = fitting / len(struck)
    if share <= max(usual, _HALF):
        return False
    # Chernoff's bound for as many by chance: exp(-n KL(share, usual))
    against = (1 - share) * math.log((1 - share) / (1 - usual)) if share < 1 else 0.0
    return len(struck) * (share * math.log(share / usual) + against) >= -math.log(_CHANCE)
