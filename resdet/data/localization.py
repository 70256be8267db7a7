"""Images with a class and the boxes of its objects (paper, appendix C).

Legend: M images, N boxes, K classes; the boxes of image i are the rows offsets[i] … offsets[i+1].
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resdet.data.dataset import ClassificationDataset, DetectionDataset, size_problem, subset, usable_indices
from resdet.data.shared import SharedArrays
from resdet.errors import DataError
from resdet.images import read_file, read_image, read_size

UNLABELLED = -1  # the label of an image whose class is not known, as in a test set


class LocalizationDataset(ClassificationDataset, Protocol):
    """Labelled images, some of them with boxes."""

    def boxes(self, index: int) -> Tensor:
        """float32 (B, 4) ``xyxy``, pixels of the image: the objects of its class; (0, 4) where none is annotated."""

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the image, pixels; a DataError names a file that cannot be read."""


@dataclass(frozen=True, eq=False)
class LocalizedImages(SharedArrays):
    """Image files with a class each, and the boxes of the objects of that class.

    Attributes:
        names: K class names, in label order.
        source: where it was read from, for messages.
        files: bytes (M,), the image files' paths, encoded for the file system.
        labels: int64 (M,), 0 … K-1, or ``UNLABELLED``.
        sizes: int64 (M, 2), height and width as annotated, pixels; 0 when unknown, which only images without a box may have.
        offsets: int64 (M + 1,), see the legend above.
        rows: float32 (N, 4) ``xyxy``, pixels, clipped to the images.
    """

    names: tuple[str, ...]
    source: str
    files: NDArray[np.bytes_]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    rows: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """The image's file."""
        return Path(os.fsdecode(bytes(self.files[index])))

    def label(self, index: int) -> int:
        """The image's label, 0 … K-1, or ``UNLABELLED``."""
        return int(self.labels[index])

    def boxes(self, index: int) -> Tensor:
        """float32 (B, 4) ``xyxy``, pixels of the image: the objects of its class; (0, 4) where none is annotated."""
        return torch.from_numpy(self.rows[self.offsets[index] : self.offsets[index + 1]].copy())

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the image, pixels, as annotated, or else from its file; a DataError when that cannot be read."""
        height, width = self.sizes[index].tolist()
        return (height, width) if height else read_size(self.path(index))

    def load(self, index: int) -> Image.Image:
        """The image, upright RGB.

        Raises:
            DataError: when the file cannot be read, or is of another size than annotated.
        """
        path = self.path(index)
        image = read_image(path)
        height, width = self.sizes[index].tolist()
        if height and (problem := size_problem(path, (image.height, image.width), (height, width))):
            raise DataError(problem)
        return image

    def encoded(self, index: int) -> bytes:
        """The content of the image's file; a DataError names one that cannot be read."""
        return read_file(self.path(index))


def localized_images(dataset: DetectionDataset, labels: Sequence[int], without: Collection[int] = ()) -> LocalizedImages:
    """The images of ``dataset`` with one class each, and their boxes of that class.

    Boxes of other classes, boxes without area and ignored boxes (crowds) are left out. Warnings count the objects of other
    classes, and the labelled images that end without a box. Such an image is kept for its class.

    Args:
        dataset: images and objects.
        labels: the label of each image, 0 … K-1, or ``UNLABELLED``.
        without: indices of images whose boxes are left out.
    """
    classes = np.asarray(labels, dtype=np.int64)
    owners = np.repeat(np.arange(len(dataset)), np.diff(dataset.offsets))
    objects = ~dataset.ignore & ~dataset.empty & ~np.isin(owners, list(without))
    own = objects & (dataset.labels == classes[owners])
    counts = np.bincount(owners[own], minlength=len(dataset))
    if others := int((objects & ~own).sum()):
        warnings.warn(f"{dataset.source}: {others} objects of another class than their image's are left out", stacklevel=3)
    if bare := int(((counts == 0) & (classes != UNLABELLED)).sum()):
        warnings.warn(f"{dataset.source}: {bare} of {len(dataset)} images have a class and no box", stacklevel=3)
    corners = np.concatenate([dataset.boxes[:, :2], dataset.boxes[:, :2] + dataset.boxes[:, 2:]], axis=1)[own]
    limits = np.tile(dataset.sizes[owners[own]][:, ::-1], 2)
    return LocalizedImages(
        dataset.names,
        dataset.source,
        dataset.files,
        classes,
        dataset.sizes,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.clip(corners, 0, limits).astype(np.float32),
    )


def dominant_objects(dataset: DetectionDataset) -> LocalizedImages:
    """A detection data set for localization: the class of an image is that of its largest box, the first of equals.

    Ignored objects (crowds, difficult ones) do not count. Images without another object have no class and are left out, which a
    warning counts.
    """
    chosen = subset(dataset, usable_indices(dataset))
    if left_out := len(dataset) - len(chosen):
        text = f"{dataset.source}: {left_out} of {len(dataset)} images have no object that says their class, and are left out"
        warnings.warn(text, stacklevel=3)
    usable = ~chosen.ignore & ~chosen.empty
    # of the boxes as annotated: COCO's own area is that of a mask
    areas = np.where(usable, chosen.boxes[:, 2] * chosen.boxes[:, 3], -1)
    largest = [first + int(areas[first:last].argmax()) for first, last in zip(chosen.offsets, chosen.offsets[1:], strict=False)]
    return localized_images(chosen, chosen.labels[largest].tolist())


def boxed_indices(dataset: LocalizationDataset) -> list[int]:
    """Indices of the images that have a box."""
    return [index for index in range(len(dataset)) if len(dataset.boxes(index))]
