"""Writes a data set of image files as shards. The module ``shards`` describes and reads them."""

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
    """Write a data set of image files as shards. When a set is unfinished, only the missing shards are written.

    The images are shuffled, always in the same order, so that a program that reads the files as a stream sees all classes. The
    contents of the files depend on the data set alone.

    Args:
        dataset: the data set; each of its images must have a file.
        root: the folder that the stored image paths are relative to.
        folder: the folder to write to; it is created when missing.
        split: the beginning of the names of the files.
        most: the largest size of a tar file in bytes; a file with a single image may be larger.

    Returns:
        The number of shards.

    Raises:
        ConfigError: when the folder holds another set of this name.
        DataError: when an image cannot be read, or changes while it is written.
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
    # written before the shards, so that readers notice an unfinished set, and the next call can continue it
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
    """The first image of each shard; then for each image its shard and the place in it where its content begins."""
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
    """The bytes that the two members of each image take: for each member a header and whole blocks of content."""
    blocks: NDArray[np.int64] = -(-sizes // BLOCK) + 3
    return blocks * BLOCK


def _tar_bytes(sizes: NDArray[np.int64]) -> int:
    """The bytes of a tar file: its members, two empty blocks, and zeros up to a whole record."""
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
                # no owner and no date, so that the same images always give the same file
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
