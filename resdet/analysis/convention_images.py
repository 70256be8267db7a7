"""Reads some images of a folder, and their labels when the layout of the folder gives them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from resdet.data.formats.file_names import is_image_name
from resdet.data.formats.folder import sub_folders
from resdet.data.formats.imagenet import SOLUTION, find_table, read_imagenet
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.errors import ConfigError, DataError
from resdet.files import walk_files
from resdet.images import read_image

LEAST = 8  # fewer images are not enough to decide
_MOST = 512


@dataclass(frozen=True)
class ImageSample:
    """Images of one size.

    Attributes:
        images: uint8 RGB (N, 3, crop, crop).
        labels: int64 (N,), 0 … K-1; None when they are not known.
    """

    images: Tensor
    labels: Tensor | None


def read_sample(folder: str | Path, short_side: int, crop: int, num_classes: int, names: Sequence[str] = ()) -> ImageSample:
    """Read images of a folder and of the folders in it, chosen evenly from the sorted files.

    It reads 64 images of 224 pixels, or more when they are smaller, but at most 512. Labels are known in a folder of K class
    folders, and in ILSVRC's flat validation folder with its table beside or above it. Images that cannot be read are left out
    with a warning.

    Args:
        folder: the folder.
        short_side: images are resized to this shorter side, pixels.
        crop: side of the central square, pixels.
        num_classes: K; 0 means that no labels are looked for.
        names: the class names in label order, when they are known; otherwise class folders are numbered in sorted order.

    Raises:
        ConfigError: when there is no such folder, or it has fewer than 8 images.
        DataError: when fewer than 8 of the chosen images can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"--images: no such folder: {folder}")
    files = sorted(Path(path) for path in walk_files(folder) if is_image_name(os.path.basename(path)))  # noqa: PTH119
    if len(files) < LEAST:
        raise ConfigError(f"--images {folder}: must hold {LEAST} images or more, got {len(files) or 'none'}")
    wanted = min(len(files), max(64, min(_MOST, 64 * 224**2 // crop**2)))
    chosen = [files[index * len(files) // wanted] for index in range(wanted)]
    transform = ClassificationTestTransform(short_side, crop)
    images: list[Tensor] = []
    read: list[Path] = []
    problems: list[str] = []
    for file in chosen:
        try:
            images.append(transform(read_image(file)))
            read.append(file)
        except DataError as error:
            problems += error.problems
    if len(images) < LEAST:
        raise DataError(problems)
    if problems:
        warnings.warn(f"{len(problems)} of {wanted} images cannot be read and are left out: {problems[0]}", stacklevel=2)
    known = _labels(files, num_classes, names) if num_classes else {}
    labels = [known.get(file) for file in read]
    return ImageSample(torch.stack(images), None if None in labels else torch.tensor(labels))


def _labels(files: Sequence[Path], num_classes: int, names: Sequence[str]) -> dict[Path, int]:
    """The labels of the files, from their folders; {} when the folders give none."""
    folders = {file.parent for file in files}
    top = Path(os.path.commonpath(folders))
    if folders == {top}:
        return _table_labels(top, num_classes)
    classes = sub_folders(top)
    if len(names) == num_classes and set(classes) <= set(names):
        classes = list(names)
    if len(classes) != num_classes or top in folders:
        return {}
    return {file: classes.index(file.relative_to(top).parts[0]) for file in files}


def _table_labels(folder: Path, num_classes: int) -> dict[Path, int]:
    """The labels of the images in ILSVRC's flat validation folder."""
    if find_table(folder.parent, SOLUTION) is None:
        return {}
    try:
        dataset = read_imagenet(folder.parent, folder.name)
    except DataError as error:
        warnings.warn(f"errors are not measured: {error.problems[0]}", stacklevel=3)
        return {}
    if len(dataset.names) != num_classes:
        return {}
    return {dataset.path(index): dataset.label(index) for index in range(len(dataset))}
