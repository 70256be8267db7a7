"""Marks of the images of a training set, which tell a resumed run whether its data are those that it began with.

Legend: M images.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.cifar import CifarDataset
from resdet.data.formats.shards import ShardDataset
from resdet.data.localization import LocalizedImages
from resdet.files import regular

_OBJECT_COLUMNS = ("boxes", "labels", "crowd", "difficult", "ignore", "empty")
_KINDS = ("files", "sizes, objects or classes", "content in their files")  # what the columns are about
_READ = 256  # files that are read; of the others the size counts
_READ_BYTES = 1 << 20  # of each
_LOOK_S = 5.0  # how long files may be looked at: a network's disk may take a millisecond for each


class Images(Protocol):
    """The part of a data set of any task that is looked at."""

    def __len__(self) -> int: ...

    def path(self, index: int) -> os.PathLike[str]:
        """The image's file."""


def image_marks(dataset: Images) -> NDArray[np.int32]:
    """int32 (M, 3): of each image the CRC-32 of its file's name, below the folder of all, of what is known of it; its content.

    The last is 0 where there is no file, see ``_content``. A data set that was moved has the same marks.
    """
    texts = (_names(dataset), _annotations(dataset))
    columns = [np.fromiter(map(zlib.crc32, each), np.uint32, len(dataset)) for each in texts]
    return np.stack([*columns, _content(dataset, columns[0])], 1).view(np.int32)


def changes(before: NDArray[np.int32], now: NDArray[np.int32], name: Callable[[int], object]) -> list[str]:
    """What differs between the marks of as many images, in sentences; ``name`` gives that of an image of now.

    Marks of earlier releases have no last column, and then it is not compared.
    """
    if len(before) != len(now):
        return []
    known, known_now = before[:, :2], now[:, :2]
    if not np.array_equal(known, known_now) and sorted(map(tuple, known.tolist())) == sorted(map(tuple, known_now.tolist())):
        first = int((known != known_now).any(1).argmax())
        return [f"the {len(now)} images come in another order, from {name(first)} on"]
    width = min(before.shape[1], now.shape[1])
    differs = before[:, :width] != now[:, :width]
    # other names are other files, and which are read depends on the names
    differs[:, 2:] &= (before[:, 2:] != 0) & (now[:, 2:width] != 0) & ~differs[:, :1].any()
    return [
        f"{int(other.sum())} of {len(now)} images have other {kind}, the first is {name(int(other.argmax()))}"
        for kind, other in zip(_KINDS, differs.T, strict=False)
        if other.any()
    ]


def _content(dataset: Images, names: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """uint32 (M,): of each file the size, of 256 the CRC-32 of the first megabyte; the marks of their ``names`` choose these.

    It is 0 where there is no file, and for those that the time did not suffice for.
    """
    if isinstance(dataset, ShardDataset):
        return dataset.sizes.astype(np.uint32)
    found = [0] * len(dataset)
    files = getattr(dataset, "files", None)
    paths: list[bytes] = files.tolist() if isinstance(files, np.ndarray) else []
    chosen = np.argsort(names[: len(paths)], kind="stable")
    end = time.monotonic() + _LOOK_S
    # the others in their order: neighbours lie together on the disk
    for look, indices in ((_read, chosen[:_READ]), (_size, np.sort(chosen[_READ:]))):
        for index in indices.tolist():
            if time.monotonic() > end:
                break
            try:
                found[index] = look(paths[index]) & 0xFFFFFFFF
            except OSError:
                continue  # who reads it for training tells of it
    return np.array(found, np.uint32)


def _size(path: bytes) -> int:
    return os.stat(path).st_size  # noqa: PTH116 - a million of them


def _read(path: bytes) -> int:
    with regular(os.fsdecode(path)).open("rb") as file:
        return zlib.crc32(file.read(_READ_BYTES), os.fstat(file.fileno()).st_size & 0xFFFFFFFF)


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
