"""Marks of the images of a training set, which tell a resumed run whether its data are those that it began with.

Legend: M images.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.cifar import CifarDataset
from resdet.data.formats.shards import ShardDataset
from resdet.data.localization import LocalizedImages

_OBJECT_COLUMNS = ("boxes", "labels", "crowd", "difficult", "ignore", "empty")
_KINDS = ("files", "sizes, objects or classes")  # what the two columns are about


class Images(Protocol):
    """The part of a data set of any task that is looked at."""

    def __len__(self) -> int: ...

    def path(self, index: int) -> os.PathLike[str]:
        """The image's file."""


def image_marks(dataset: Images) -> NDArray[np.int32]:
    """int32 (M, 2): of each image the CRC-32 of its file's name, below the folder of all, and of what is known of it.

    The files themselves are not read: 1.3 million images take seconds. A data set that was moved has the same marks.
    """
    rows = zip(map(zlib.crc32, _names(dataset)), map(zlib.crc32, _annotations(dataset)), strict=True)
    return np.fromiter((value for row in rows for value in row), np.uint32).view(np.int32).reshape(-1, 2)


def changes(before: NDArray[np.int32], now: NDArray[np.int32], name: Callable[[int], object]) -> list[str]:
    """What differs between the marks of as many images, in sentences; ``name`` gives that of an image of now."""
    if before.shape != now.shape or np.array_equal(before, now):
        return []
    if sorted(map(tuple, before.tolist())) == sorted(map(tuple, now.tolist())):
        first = int((before != now).any(1).argmax())
        return [f"the {len(now)} images come in another order, from {name(first)} on"]
    return [
        f"{int(other.sum())} of {len(now)} images have other {kind}, the first is {name(int(other.argmax()))}"
        for kind, other in zip(_KINDS, (before != now).T, strict=True)
        if other.any()
    ]


def _names(dataset: Images) -> Iterator[bytes]:
    files = dataset.sources if isinstance(dataset, ShardDataset) else getattr(dataset, "files", None)
    names: list[bytes] = (
        files.tolist() if isinstance(files, np.ndarray) else [os.fsencode(dataset.path(index)) for index in range(len(dataset))]
    )
    # letter by letter, for the first and the last name alone: by folders it would take all of a million names apart
    ends = [os.fsdecode(name) for name in (min(names, default=b""), max(names, default=b""))]
    folder = len(os.fsencode(os.path.commonprefix(ends).rpartition(os.sep)[0])) + 1  # noqa: RUF071
    return (name[folder:] for name in names)


def _annotations(dataset: Images) -> Iterator[bytes]:
    if isinstance(dataset, (DetectionDataset, LocalizedImages)):
        columns = (
            [getattr(dataset, column) for column in _OBJECT_COLUMNS]
            if isinstance(dataset, DetectionDataset)
            else [dataset.rows]
        )
        objects = np.concatenate([_bytes(column) for column in columns], 1)
        own = _bytes(dataset.sizes)
        if isinstance(dataset, LocalizedImages):
            own = np.concatenate([own, _bytes(dataset.labels)], 1)
        ends = zip(dataset.offsets[:-1].tolist(), dataset.offsets[1:].tolist(), own, strict=True)
        return (each.tobytes() + objects[first:last].tobytes() for first, last, each in ends)
    labels = _bytes(np.asarray(getattr(dataset, "labels", np.zeros(len(dataset))), np.int64))
    if isinstance(dataset, CifarDataset):
        return (label.tobytes() + pixels.tobytes() for label, pixels in zip(labels, dataset.pixels, strict=True))
    return (label.tobytes() for label in labels)


def _bytes(column: NDArray[np.generic]) -> NDArray[np.uint8]:
    """uint8 (M, B): the bytes of each row."""
    width = column.itemsize * (column.size // max(1, len(column)))
    return np.frombuffer(np.ascontiguousarray(column).tobytes(), np.uint8).reshape(len(column), width)
