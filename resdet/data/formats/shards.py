"""Labelled images in a few large tar files, instead of a million small files; any image can be read directly.

A set is ``NAME-000000.tar``, ``NAME-000001.tar`` … and ``NAME-index.safetensors``, which tells where each image lies. In the
tar files an image is two members, ``000000123.jpg`` and ``000000123.cls`` (its label, in digits): what the package webdataset
reads as a stream. Here the index is used instead, so sampling, workers and resuming are those of a folder of files. The files
lie in a folder, or behind a URL: then each process asks for the bytes of its own images alone.

Legend: M images, S shards, K classes.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open

from resdet.data.formats.annotations import class_mismatch
from resdet.data.formats.file_names import unsafe_name
from resdet.data.formats.remote import is_url, read_url, size_of_url
from resdet.data.shared import SharedArrays
from resdet.errors import DataError
from resdet.files import parse_json, regular
from resdet.images import read_image

KIND = "resdet shards 1"
BLOCK = tarfile.BLOCKSIZE
_AT_ONCE = 16  # questions to a server
_COLUMNS = {"shards": "int32", "offsets": "int64", "sizes": "int64", "labels": "int32", "sources": "uint8"}


@dataclass(frozen=True, eq=False)
class ShardDataset(SharedArrays):
    """Labelled images in tar files.

    Attributes:
        names: K class names, in label order.
        files: S paths or URLs of the tar files, encoded for the file system.
        shards: int32 (M,), the tar file of each image.
        offsets: int64 (M,), where its content begins in that, bytes.
        sizes: int64 (M,), the size of its content in bytes.
        labels: int32 (M,), 0 … K-1.
        sources: bytes (M,), the paths that the images had before.
    """

    names: tuple[str, ...]
    files: tuple[bytes, ...]
    shards: NDArray[np.int32]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.int32]
    sources: NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """The tar file and, as if below it, the path that the image had before; for messages."""
        return Path(os.fsdecode(self.files[self.shards[index]]), os.fsdecode(bytes(self.sources[index])))

    def label(self, index: int) -> int:
        """The image's label, 0 … K-1."""
        return int(self.labels[index])

    def load(self, index: int) -> Image.Image:
        """The image, upright RGB; a DataError names one that cannot be read."""
        return read_image(self.path(index), self.encoded(index))

    def encoded(self, index: int) -> bytes:
        """The content of the image's file.

        Raises:
            DataError: naming a tar file that cannot be read, or is not the one that the index was made with.
        """
        file, size = os.fsdecode(self.files[self.shards[index]]), int(self.sizes[index])
        block = (read_url if is_url(file) else _read_file)(file, int(self.offsets[index]) - BLOCK, BLOCK + size)
        key = sample_key(index).encode()
        if len(block) < BLOCK + size or not block.startswith(key + b".") or block[124:135] != b"%011o" % size:
            raise DataError(f"{file}: does not hold image {key.decode()} where its index says: it has changed since")
        return block[BLOCK:]


def read_shards(root: str | Path, split: str, names: Sequence[str] | None = None) -> ShardDataset:
    """Read the index of a set of shards, and check the size of each shard against it.

    Args:
        root: the folder, or its URL.
        split: the beginning of the names of the files.
        names: class names in label order; those of the index when not given.

    Raises:
        DataError: with every problem: an index that is missing or broken, tar files that are missing, cut short or outside of
            the folder, classes that are not among ``names``.
    """
    path = _inside(root, f"{split}-index.safetensors")
    about, columns = _read_index(path)
    found = about["names"]
    names = found if names is None else list(names)
    problems = [f"{path}: {problem}" for problem in class_mismatch(found, names)]
    files = [_inside(root, entry["file"]) for entry in about["files"]]
    with ThreadPoolExecutor(_AT_ONCE if is_url(root) else 1) as pool:
        for found_wrong in pool.map(wrong_file, files, [entry["bytes"] for entry in about["files"]]):
            problems += found_wrong
    if problems:
        raise DataError(problems)
    positions = {name: label for label, name in enumerate(names)}
    order = np.array([positions[name] for name in found], dtype=np.int32)
    sources = np.ascontiguousarray(columns["sources"])
    return ShardDataset(
        tuple(names),
        tuple(map(os.fsencode, files)),
        columns["shards"],
        columns["offsets"],
        columns["sizes"],
        order[columns["labels"]],
        sources.view(f"S{sources.shape[1]}")[:, 0],
    )


def sample_key(index: int) -> str:
    """The beginning of the names of an image's two members."""
    return f"{index:09}"


def _inside(root: str | Path, name: str) -> str:
    """The path or URL of a file of a folder."""
    return f"{str(root).rstrip('/')}/{name}" if is_url(root) else str(Path(root) / name)


def _read_file(path: str, start: int, length: int) -> bytes:
    try:
        # we open the file again for each image, so that processes share nothing and nothing stays open
        with open(regular(path), "rb", buffering=0) as opened:  # noqa: PTH123
            opened.seek(start)
            return opened.read(length)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def wrong_file(path: str | Path, size: int) -> list[str]:
    """Problems with a tar file that must have ``size`` bytes."""
    try:
        found = size_of_url(str(path)) if is_url(path) else Path(path).stat().st_size
    except DataError as error:
        return list(error.problems)
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror}; `resdet data shard` with the same arguments writes what is missing"]
    return [] if found == size else [f"{path}: must have {size} bytes, got {found}: it is cut short, or another file"]


@contextlib.contextmanager
def _on_disk(path: str) -> Iterator[Path]:
    """A file by its path; what a URL leads to is there in this context."""
    if not is_url(path):
        yield regular(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "index.safetensors"
        copy.write_bytes(read_url(path))
        yield copy


def _read_index(path: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The common values of an index and its columns, both checked."""
    try:
        with _on_disk(path) as local, safe_open(local, framework="numpy") as file:
            about = parse_json((file.metadata() or {}).get("index", "null"))
            columns = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; `resdet data shard` writes it") from error
    except (OSError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if problems := list(_wrong_index(about, columns)):
        raise DataError([f"{path}: is not an index of shards: {problem}" for problem in problems])
    return about, columns


def _wrong_index(about: Any, columns: dict[str, NDArray[Any]]) -> Iterator[str]:
    if not isinstance(about, dict) or about.get("kind") != KIND:
        yield f"its metadata must hold an object of kind {KIND!r}"
        return
    names, files = about.get("names"), about.get("files")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        yield "'names' must be class names"
        return
    if not isinstance(files, list) or not all(_is_file_entry(entry) for entry in files):
        yield "'files' must be objects with a file, which stays in the folder, and its bytes"
        return
    found = {name: str(column.dtype) for name, column in columns.items()}
    shapes = {column.shape[:1] for column in columns.values()}
    if found != _COLUMNS or len(shapes) != 1 or columns["sources"].ndim != 2 or not columns["sources"].size:
        yield f"its columns must be {', '.join(_COLUMNS)}, one row an image; got {', '.join(found)}"
        return
    shards, offsets, sizes, labels = (columns[name] for name in ("shards", "offsets", "sizes", "labels"))
    if any(column.ndim != 1 for column in (shards, offsets, sizes, labels)):
        yield "its columns must have one value an image"
    elif shards.min() < 0 or shards.max() >= len(files) or labels.min() < 0 or labels.max() >= len(names):
        yield "it names shards or labels that there are not"
    elif offsets.min() < BLOCK or sizes.min() < 0 or (offsets > np.array([f["bytes"] for f in files])[shards] - sizes).any():
        yield "it names places outside of its shards"


def _is_file_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("file"), str)
        and unsafe_name(entry["file"]) is None
        and type(entry.get("bytes")) is int
        and 0 <= entry["bytes"] < 2**62
    )
