"""What a plan must know of its data: how many images and objects, how large and how crowded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.images.photo import Photo
from resdet.errors import DataError

_LOOKED_AT = 200  # images whose size is read
_WIDEST = 5 / 3  # longer by shorter side, as in the paper: 1000 by 600; longer images are shrunk


@dataclass(frozen=True)
class DataFacts:
    """Facts of the training images that have objects to train on.

    Attributes:
        images: the number of images with objects.
        objects: the number of objects that train.
        classes: the class names.
        short_side: the median of the images' shorter sides, pixels; of images that are longer than ``longest`` allows, the side
            that they would have if only their longer one counted.
        aspect: longer side by shorter side, that of 95 % of the images at most.
        scales: float64 (N,), the square root of each object's area by that side of its image.
        ratios: float64 (N,), height by width of each object.
        crowd: objects an image, the number that 90 % of the images do not exceed.
    """

    images: int
    objects: int
    classes: tuple[str, ...]
    short_side: float
    aspect: float
    scales: NDArray[np.float64]
    ratios: NDArray[np.float64]
    crowd: int


def facts_of(dataset: DetectionDataset) -> DataFacts:
    """Measure a training set; a DataError when it has no object to train on."""
    counts = np.diff(dataset.offsets)
    used = ~dataset.ignore & ~dataset.empty
    owners = np.repeat(np.arange(len(dataset)), counts)[used]
    if not len(owners):
        raise DataError(f"{dataset.source}: no image with a usable object to train on")
    wide, high = dataset.boxes[used, 2], dataset.boxes[used, 3]
    sizes = dataset.sizes[np.unique(owners)]
    aspect = float(np.quantile(sizes.max(axis=1) / sizes.min(axis=1), 0.95))
    sides = np.maximum(dataset.sizes.min(axis=1), dataset.sizes.max(axis=1) / longest(aspect))
    return DataFacts(
        images=len(sizes),
        objects=len(owners),
        classes=dataset.names,
        short_side=float(np.median(sides[np.unique(owners)])),
        aspect=aspect,
        scales=np.sqrt(wide * high) / sides[owners],
        ratios=high / wide,
        crowd=max(1, round(float(np.quantile(np.bincount(owners)[np.unique(owners)], 0.9)))),
    )


def longest(aspect: float) -> float:
    """The longer side that images may have, by the shorter one, where nearly all have this aspect or less."""
    return min(max(aspect, 4 / 3), _WIDEST)


@dataclass(frozen=True)
class ClassFacts:
    """Facts of labelled training images.

    Attributes:
        counts: the number of images of each class, by name.
        short_side: the median of the images' shorter sides, pixels.
    """

    counts: dict[str, int]
    short_side: float

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(self.counts.values())


def class_facts_of(dataset: ClassificationDataset) -> ClassFacts:
    """Count the images of each class, and read the size of 200 images; a DataError when none of them can be read."""
    labels = np.bincount([dataset.label(index) for index in range(len(dataset))], minlength=len(dataset.names))
    sides: list[int] = []
    problems: list[str] = []
    for index in np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int)).tolist():
        try:
            photo = Photo.of(dataset.path(index))
            sides.append(min(photo.height, photo.width))
        except DataError as error:  # training will tell when it comes to this image
            problems += error.problems
    if not sides:
        raise DataError(problems[:5])
    return ClassFacts(dict(zip(dataset.names, labels.tolist(), strict=True)), float(np.median(sides)))
