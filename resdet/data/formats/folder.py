"""Reads a folder that has one sub-folder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resdet.data.formats.annotations import class_mismatch
from resdet.data.formats.file_names import IMAGE_SUFFIXES, is_image_name
from resdet.data.shared import SharedArrays
from resdet.errors import DataError
from resdet.files import walk_files
from resdet.images import read_file, read_image


@dataclass(frozen=True, eq=False)
class FileDataset(SharedArrays):
    """Labelled image files.

    Attributes:
        names: K class names, in label order.
        files: bytes (M,), the image files' paths, encoded for the file system.
        labels: int64 (M,), 0 … K-1.
    """

    names: tuple[str, ...]
    files: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """The image's file."""
        return Path(os.fsdecode(bytes(self.files[index])))

    def label(self, index: int) -> int:
        """The image's label, 0 … K-1."""
        return int(self.labels[index])

    def load(self, index: int) -> Image.Image:
        """The image, upright RGB; a DataError names a file that cannot be read."""
        return read_image(self.path(index))

    def encoded(self, index: int) -> bytes:
        """The content of the image's file; a DataError names one that cannot be read."""
        return read_file(self.path(index))


def read_folder(root: str | Path, names: Sequence[str] | None = None) -> FileDataset:
    """Read a folder of class folders; the images may lie in folders below these. Other files and hidden folders are left alone.

    Args:
        root: the folder.
        names: class names in label order; the names of the sub-folders, sorted, when not given.

    Raises:
        DataError: when there is no class folder, a class folder holds no image, or one is not among ``names``.
    """
    root = Path(root)
    found = sub_folders(root)
    names = found if names is None else list(names)
    problems = [f"{root}: {problem}" for problem in class_mismatch(found, names)]
    if not found:
        problems.append(f"{root}: must hold one folder a class, got none")
    files: list[bytes] = []
    labels: list[int] = []
    positions = {name: label for label, name in enumerate(names)}
    for name in found:
        images = _images(root / name)
        if not images:
            problems.append(f"{root / name}: holds no image ({' '.join(IMAGE_SUFFIXES)}): fill the folder, or remove it")
        files += images
        labels += [positions.get(name, 0)] * len(images)
    if problems:
        raise DataError(problems)
    return FileDataset(tuple(names), np.array(files, dtype=np.bytes_), np.array(labels, dtype=np.int64))


def sub_folders(root: Path) -> list[str]:
    """The names of a folder's folders, sorted, without hidden ones; a DataError when it cannot be read."""
    try:
        # __MACOSX: what macOS puts into a zip beside the files
        return sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from error


def _images(folder: Path) -> list[bytes]:
    return sorted(
        os.fsencode(path)
        for path in walk_files(folder)
        if is_image_name(os.path.basename(path))  # noqa: PTH119
    )
