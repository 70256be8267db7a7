"""The result of the writer of a format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from resdet.data.dataset import DetectionDataset
from resdet.errors import DataError


class Written(NamedTuple):
    """What remains to do and to say after a writer has written the annotations.

    Attributes:
        images: the place of each image, relative to the target folder.
        lost: lines on what the format could not hold.
    """

    images: list[str]
    lost: list[str]


def counted(count: int, text: str) -> list[str]:
    """One line that says ``count`` and ``text``; no line when the count is 0."""
    return [f"{count} {text}"] if count else []


def lost_numbers(dataset: DetectionDataset) -> list[str]:
    """Lines on the ids and areas that a format cannot hold and that reading the files back would not restore."""
    ids = (dataset.ids, dataset.category_ids, dataset.annotation_ids)
    own_ids = all(np.array_equal(some, np.arange(1, len(some) + 1)) for some in ids)
    own_areas = dataset.areas == dataset.boxes[:, 2] * dataset.boxes[:, 3]
    lost = [] if own_ids else ["the ids of images, categories and annotations are lost"]
    return lost + counted(int((~own_areas).sum()), "areas that are not those of the boxes are lost")


def new_file(path: Path) -> Path:
    """Return ``path``; a DataError when a file system that ignores upper and lower case takes it for an earlier file."""
    if path.exists():
        raise DataError(f"{path.name}: another file is called so here, where large and small letters are the same in names")
    return path


def shared_stems(names: Sequence[str]) -> list[str]:
    """Problems with images that differ only by suffix, for formats that name annotation files by the image without suffix."""
    first: dict[str, str] = {}
    problems = []
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        if stem in first:
            problems.append(f"images {first[stem]!r} and {name!r} would share one annotation file")
        first.setdefault(stem, name)
    return problems
