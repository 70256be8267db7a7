"""A detection data set in memory, as flat arrays that are the same for every file format.

We use flat arrays and not a list of dicts, because worker processes can share arrays without copying: reading an array touches
no reference count. Legend: M images, N objects, K classes; the objects of image i are the rows offsets[i] … offsets[i+1].
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from resdet.data.convention import AS_READ, Convention
from resdet.data.images.photo import Photo
from resdet.data.shared import SharedArrays
from resdet.errors import DataError
from resdet.images import read_image
from resdet.structures import Target

ImageT = TypeVar("ImageT", Image.Image, Photo)
# the columns that have a row for each object
OBJECT_COLUMNS = ("boxes", "labels", "crowd", "difficult", "ignore", "empty", "areas", "annotation_ids")


class ClassificationDataset(Protocol):
    """Labelled images; labels are indices into ``names``."""

    @property
    def names(self) -> tuple[str, ...]:
        """The K class names, in label order."""

    def __len__(self) -> int: ...

    def path(self, index: int) -> Path:
        """The image's file, for messages."""

    def label(self, index: int) -> int:
        """The image's label, 0 … K-1."""

    def load(self, index: int) -> Image.Image:
        """The image, RGB; a DataError names a file that cannot be read."""

    def encoded(self, index: int) -> bytes | None:
        """The content of the image's file, or None when the data set holds pixels; raises the same DataError as ``load``."""


@dataclass(frozen=True, eq=False)
class DetectionDataset(SharedArrays):
    """Annotated images.

    Attributes:
        names: K class names, in label order.
        category_ids: K category ids of the file, one for each label.
        source: the place that the data set was read from, for messages.
        files: bytes (M,), the image files' paths, encoded for the file system.
        ids: int64 (M,), image ids.
        sizes: int64 (M, 2), height and width as annotated, pixels.
        offsets: int64 (M + 1,), see the legend above.
        boxes: float64 (N, 4), ``x, y, width, height`` as annotated, continuous pixels, not clipped.
        labels: int64 (N,), 0 … K-1.
        crowd: bool (N,), COCO's iscrowd.
        difficult: bool (N,), VOC's difficult.
        ignore: bool (N,), objects that are neither positive nor negative in training.
        empty: bool (N,), objects without area in their image: training leaves them out, COCO's evaluation counts them.
        areas: float64 (N,), COCO's area (often that of the mask), or the area of the box; square pixels.
        annotation_ids: int64 (N,).
        convention: how its files hold boxes.
    """

    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    source: str
    files: NDArray[np.bytes_]
    ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    areas: NDArray[np.float64]
    annotation_ids: NDArray[np.int64]
    convention: Convention = AS_READ

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_ids(self) -> list[int]:
        """The id of every image."""
        ids: list[int] = self.ids.tolist()
        return ids

    def path(self, index: int) -> Path:
        """The file of image ``index``."""
        return Path(os.fsdecode(bytes(self.files[index])))

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of image ``index`` as annotated, pixels."""
        height, width = self.sizes[index].tolist()
        return height, width

    def target(self, index: int) -> Target:
        """The objects of image ``index`` that have an area, boxes clipped to the image."""
        rows = self.offsets[index] + np.flatnonzero(~self.empty[self.offsets[index] : self.offsets[index + 1]])
        size = self.size(index)
        return Target(
            boxes=torch.from_numpy(clipped_xyxy(self.boxes[rows], size)),
            labels=torch.from_numpy(self.labels[rows]),
            size=size,
            image_id=int(self.ids[index]),
            path=str(self.path(index)),
            ignore=torch.from_numpy(self.ignore[rows]),
        )

    def load(self, index: int) -> tuple[Image.Image, Target]:
        """Load image ``index``, upright RGB, and its objects.

        Raises:
            DataError: when the file cannot be read, or its size differs from the annotation.
        """
        return self._sized(index, read_image(self.path(index)))

    def photo(self, index: int) -> tuple[Photo, Target]:
        """The same as ``load``, but the image is not decoded yet; errors in its pixels are raised when they are decoded."""
        return self._sized(index, Photo.of(self.path(index)))

    def _sized(self, index: int, image: ImageT) -> tuple[ImageT, Target]:
        path = self.path(index)
        if problem := size_problem(path, (image.height, image.width), self.size(index)):
            raise DataError(problem)
        return image, self.target(index)

    def ground_truth(self) -> dict[str, Any]:
        """The data set as COCO's instances dict, for evaluation: boxes and areas unclipped, as annotated.

        Objects without area are included, because the official evaluation counts them.

        Difficult objects carry ``"difficult": 1`` and ``"ignore": 1``. Annotation ids are those of the file. When they start
        below 1 they are moved up to start at 1, because COCO's evaluator takes a match with id 0 for no match.
        """
        owners = np.repeat(self.ids, np.diff(self.offsets)).tolist()
        shift = max(0, 1 - int(self.annotation_ids.min())) if len(self.annotation_ids) else 0
        columns = (self.annotation_ids + shift, self.labels, self.boxes, self.areas, self.crowd, self.difficult)
        rows = zip(owners, *(column.tolist() for column in columns), strict=True)
        return {
            "images": [
                {"id": image_id, "file_name": self.path(index).name, "height": height, "width": width}
                for index, (image_id, (height, width)) in enumerate(zip(self.ids.tolist(), self.sizes.tolist(), strict=True))
            ],
            "categories": [{"id": key, "name": name} for key, name in zip(self.category_ids, self.names, strict=True)],
            "annotations": [
                {
                    "id": key,
                    "image_id": image_id,
                    "category_id": self.category_ids[label],
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(crowd),
                    **({"difficult": 1, "ignore": 1} if difficult else {}),
                }
                for image_id, key, label, box, area, crowd, difficult in rows
            ],
        }


def clipped_xyxy(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes (N, 4) ``x, y, width, height`` as float32 ``xyxy`` clipped to an image of ``size`` (height, width)."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    clipped: NDArray[np.float32] = np.clip(corners, 0, [size[1], size[0]] * 2).astype(np.float32)
    return clipped


def size_problem(path: Path, decoded: tuple[int, int], annotated: tuple[int, int]) -> str | None:
    """The message for an image whose (height, width) differ from its annotation; None when they agree."""
    if decoded == annotated:
        return None
    turned = (
        " (the annotation seems to belong to the image before its EXIF rotation; if so, `resdet data fix` turns it)"
        if decoded == annotated[::-1]
        else ""
    )
    return f"{path}: is {decoded[1]} x {decoded[0]} pixels, its annotation says {annotated[1]} x {annotated[0]}{turned}"


def usable_indices(dataset: DetectionDataset) -> list[int]:
    """Indices of the images with at least one object that has an area and is not ignored."""
    running = np.concatenate([[0], np.cumsum(~dataset.ignore & ~dataset.empty)])
    indices: list[int] = np.flatnonzero(np.diff(running[dataset.offsets])).tolist()
    return indices


def classes_of_images(dataset: DetectionDataset) -> list[set[int]]:
    """The set of labels in each image, counting only objects that have an area and are not ignored."""
    used = ~dataset.ignore & ~dataset.empty
    running = np.concatenate([[0], np.cumsum(used)])[dataset.offsets]
    labels = dataset.labels[used].tolist()
    return [set(labels[first:last]) for first, last in zip(running[:-1].tolist(), running[1:].tolist(), strict=True)]


def aspect_groups(dataset: DetectionDataset, indices: Sequence[int]) -> list[int]:
    """For each of ``indices``: 0 for a portrait (width < height), 1 for a landscape or square image."""
    sizes = dataset.sizes[np.asarray(indices, dtype=np.int64)]
    groups: list[int] = (sizes[:, 1] >= sizes[:, 0]).astype(int).tolist()
    return groups


def subset(dataset: DetectionDataset, indices: Sequence[int]) -> DetectionDataset:
    """The data set of these images only, in this order."""
    chosen = np.asarray(indices, dtype=np.int64)
    counts = np.diff(dataset.offsets)[chosen]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    rows = np.repeat(dataset.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
    return replace(
        dataset,
        files=dataset.files[chosen],
        ids=dataset.ids[chosen],
        sizes=dataset.sizes[chosen],
        offsets=offsets,
        **{name: getattr(dataset, name)[rows] for name in OBJECT_COLUMNS},
    )


def concatenate(datasets: Sequence[DetectionDataset]) -> DetectionDataset:
    """Join data sets with the same class names, in order. Ids are renumbered from 1, because two sources may use the same ones.

    Raises:
        ValueError: when there is no data set, or their class names differ.
    """
    if len({dataset.names for dataset in datasets}) != 1:
        raise ValueError(f"needs data sets of the same class names, got {[dataset.names for dataset in datasets]}")
    first, *others = datasets
    if not others:
        return first
    counts = np.concatenate([np.diff(dataset.offsets) for dataset in datasets])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(dataset, name) for dataset in datasets]) for name in OBJECT_COLUMNS
    }
    columns["annotation_ids"] = np.arange(1, len(columns["labels"]) + 1)
    return replace(
        first,
        category_ids=tuple(range(1, len(first.names) + 1)),
        source=", ".join(dataset.source for dataset in datasets),
        files=np.concatenate([dataset.files for dataset in datasets]),
        ids=np.arange(1, len(counts) + 1),
        sizes=np.concatenate([dataset.sizes for dataset in datasets]),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        **columns,
    )
