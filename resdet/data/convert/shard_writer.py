"""A data set of image files as shards; ``shards`` tells what these are, and reads them."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from resdet.data.dataset import ClassificationDataset
from resdet.data.formats.shards import BLOCK, KIND, sample_key, wrong_file
from resdet.errors import ConfigError, DataError
from resdet.files import atomic_write
from resdet.images import read_file

_log = logging.getLogger(__name__)


def write_shards(dataset: ClassificationDataset, root: Path, folder: Path, split: str, most: int) -> int:
    """Write a data set of files as shards; a set that was begun is continued with the shards that it lacks.

    The images come in a random order, always the same: a program that reads the files as a stream meets all classes. The files'
    contents depend on the data set alone.

    Args:
        dataset: its images have files.
        root: what the paths that are kept of these start from.
        folder: where to; made when missing.
        split: what the files' names begin with.
        most: bytes of a tar file at most, where it holds more than one image.

    Returns:
        The number of shards.

    Raises:
        ConfigError: the folder holds another set of this name.
        DataError: an image that cannot be read, or changes while it is written.
    """
    order = np.random.default_rng(0).permutation(len(dataset))
    paths = [dataset.path(index) for index in order.tolist()]
    labels = np.array([dataset.label(index) for index in order.tolist()], dtype=np.int32)
    sizes = np.array([_size(path) for path in paths], dtype=np.int64)
    starts, shards, offsets = _layout(sizes, most)
    ends = [*starts[1:], len(paths)]
    files: list[dict[str, Any]] = [
        {"file": f"{split}-{number:06}.tar", "samples": end - start, "bytes": _tar_bytes(sizes[start:end])}
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    sources = np.array([os.fsencode(Path(os.path.relpath(path, root)).as_posix()) for path in paths], dtype=np.bytes_)
    columns: dict[str, NDArray[Any]] = {
        "shards": shards,
        "offsets": offsets,
        "sizes": sizes,
        "labels": labels,
        "sources": sources.view(np.uint8).reshape(len(paths), -1),
    }
    about = {"kind": KIND, "names": list(dataset.names), "samples": len(paths), "files": files}
    # before the shards: what is unfinished says so when it is read, and is known again when it is continued
    _begin(folder / f"{split}-index.safetensors", save(columns, {"index": json.dumps(about)}))
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        file = folder / files[number]["file"]
        if wrong_file(file, files[number]["bytes"]):
            rows = [(sample_key(row), paths[row], int(sizes[row]), int(labels[row])) for row in range(start, end)]
            atomic_write(file, lambda temporary, rows=rows: _write_tar(temporary, rows))  # type: ignore[misc]
            _log.info("%s: %d images", file, end - start)
    return len(starts)


def _begin(path: Path, index: bytes) -> None:
    if path.exists():
        if read_file(path) != index:
            raise ConfigError(
                f"{path}: is of other images, or of shards of another size; remove that set, or choose another folder"
            )
        return
    atomic_write(path, lambda temporary: temporary.write_bytes(index))


def _layout(sizes: NDArray[np.int64], most: int) -> tuple[list[int], NDArray[np.int32], NDArray[np.int64]]:
    """The first image of each shard, and of each image its shard and where its content begins in it."""
    ends = np.cumsum(_member_bytes(sizes))
    starts: list[int] = []
    begin = 0
    while begin < len(sizes):
        starts.append(begin)
        held = ends[begin - 1] if begin else 0
        begin = max(begin + 1, int(np.searchsorted(ends, held + most - tarfile.RECORDSIZE, side="right")))
    counts = np.diff([*starts, len(sizes)])
    shards = np.repeat(np.arange(len(starts), dtype=np.int32), counts)
    begins = ends - _member_bytes(sizes)
    return starts, shards, begins - np.repeat(begins[starts], counts) + BLOCK


def _member_bytes(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of images' two members: a header and whole blocks of content each."""
    blocks: NDArray[np.int64] = -(-sizes // BLOCK) + 3
    return blocks * BLOCK


def _tar_bytes(sizes: NDArray[np.int64]) -> int:
    """Of a tar file: its members, two empty blocks, and zeros up to a whole record."""
    held = int(_member_bytes(sizes).sum()) + 2 * BLOCK
    return -(-held // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _write_tar(path: Path, rows: Sequence[tuple[str, Path, int, int]]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, source, size, label in rows:
            content = read_file(source)
            if len(content) != size:
                raise DataError(f"{source}: has changed while it was read: {size} bytes before, {len(content)} now")
            suffix = source.suffix.lower().replace(".jpeg", ".jpg")
            for name, data in ((f"{key}{suffix}", content), (f"{key}.cls", str(label).encode())):
                # no owner and no date: the same images, the same file
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
