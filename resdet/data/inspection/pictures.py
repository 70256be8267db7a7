"""Findings about single images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.finding import Finding, image_place
from resdet.data.inspection.looks import Looks

_LARGE = 20_000_000  # pixels: decoding one takes longer than a step of training
_TIMES_LARGER = 4  # a longer side of so many times data.max_side hides small objects
_DARK = 1 << 14  # a quarter of 16 bits


def picture_findings(
    dataset: DetectionDataset, looks: Looks, *, annotated: bool, max_side: int, stated: NDArray[np.bool_]
) -> list[Finding]:
    """All findings about the images of a data set, one by one.

    Args:
        dataset: the data set.
        looks: what its images are like.
        annotated: its files give the images' sizes, so that a size that fits the upright image shows that its boxes do.
        max_side: the longer side in training at most, pixels.
        stated: bool (M,), the images that have a file of objects of their own, so that an empty one says that there is none.
    """
    square = dataset.sizes[:, 0] == dataset.sizes[:, 1]
    unsure = looks.usable & looks.turned & ~(looks.sideways & ~square & annotated)
    pixels, longer = dataset.sizes.prod(1), dataset.sizes.max(1)
    return [
        *_about(
            "image-turned",
            dataset,
            unsure,
            "{count} images are turned upright by their EXIF mark (were they labelled so?)",
            "`resdet data view` shows whether the boxes fit",
        ),
        *depth_findings(dataset, looks),
        *_about("image-blank", dataset, looks.blank, "{count} images have one colour alone", "load them again, or remove them"),
        *_about(
            "image-very-large",
            dataset,
            (pixels >= _LARGE) | (longer >= _TIMES_LARGER * max_side),
            f"{{count}} images are very large ({longer.max()} pixels at most) for a longer side of {max_side} in training",
            "cut them into tiles where objects are small, or shrink them; data.decode=fast decodes JPEGs smaller",
        ),
        *_without_objects(dataset, stated),
    ]


def depth_findings(dataset: DetectionDataset | ClassificationDataset, looks: Looks) -> list[Finding]:
    """Images of 16 bits that use so few of them that they become dark."""
    greatest = int(looks.greatest.max(initial=0))
    if not 0 < greatest < _DARK:
        return []
    bits = greatest.bit_length()
    message = (
        f"{{count}} images of 16 bits hold values of {bits} bits at most, and become nearly black when 0 … 65535 is scaled"
    )
    return _about("image-depth", dataset, looks.greatest > 0, message, f"multiply their values by {1 << (16 - bits)}")


def _without_objects(dataset: DetectionDataset, stated: NDArray[np.bool_]) -> list[Finding]:
    empty = (np.diff(dataset.offsets) == 0) & ~stated
    if empty.sum() <= len(dataset) / 2:
        return []
    message = f"{int(empty.sum())} of {len(dataset)} images have no object"
    remedy = "see that their objects are where the format expects them (docs/data.md), or leave out images that nobody labelled"
    return _about("images-without-objects", dataset, empty, message, remedy)


def _about(
    kind: str, dataset: DetectionDataset | ClassificationDataset, images: NDArray[np.bool_], message: str, remedy: str
) -> list[Finding]:
    """One finding on the images of a mask (M,); none where it marks none."""
    places = np.flatnonzero(images)
    if not len(places):
        return []
    first = int(places[0])
    where = image_place(dataset, first) if isinstance(dataset, DetectionDataset) else str(dataset.path(first))
    return [Finding(kind, where, len(places), message.format(count=len(places)), remedy)]
