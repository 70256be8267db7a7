"""Splits labelled images into training and validation, as lists beside the run."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from resdet.config.schema import ClassificationSourceConfig
from resdet.data.dataset import ClassificationDataset
from resdet.data.formats.image_list import parts_of_list
from resdet.data.found.paths import TRAIN, VAL
from resdet.data.images.photo import Photo
from resdet.data.splitting.groups import SHARE, following, groups_of, split_groups
from resdet.data.splitting.looks import looks
from resdet.errors import DataError
from resdet.files import write_text


def split_classes(
    dataset: ClassificationDataset, root: Path, folder: Path, *, share: float = SHARE, seed: int = 0
) -> tuple[ClassificationSourceConfig, ClassificationSourceConfig]:
    """Split labelled images and write the lists ``train.csv`` and ``val.csv`` into ``folder``; the images stay where they are.

    Each class has about its share in both parts; images that look alike stay together. A class whose images are too few for
    that stays in training.

    Args:
        dataset: the images.
        root: the folder that the lists' paths start from; where images are linked to from elsewhere, a folder above all.
        folder: gets the lists.
        share: the part of the images that is for validation.
        seed: decides between equals: the same data and seed give the same lists.

    Returns:
        The sources for training and for validation.

    Raises:
        DataError: when no class has images for both parts, or a path is no text.
    """
    paths = [dataset.path(index) for index in range(len(dataset))]
    labels = [dataset.label(index) for index in range(len(dataset))]
    groups = groups_of(paths, looks(len(dataset), lambda index: Photo.of(dataset.path(index)), following(paths)))
    parts = split_groups(groups, [{label} for label in labels], share, seed)
    if not parts[1] or len({labels[index] for index in parts[0]}) < len(set(labels)):
        raise DataError(
            f"{root}: cannot be split for validation: every class has one image, or images that are all alike; add some"
        )
    return write_parts(dataset, parts, root, folder)


def parts_given(annotations: str) -> tuple[list[int], list[int]] | None:
    """The images of a list that are for training and for validation, as its column ``split`` says; None where it says not both.

    Where the column has several names of validation parts, such as val and test, the first is taken: val.
    """
    given = [part.lower() for part in parts_of_list(annotations)] if annotations else []
    train, val = (next((name for name in names if name in given), None) for names in (TRAIN, VAL))
    if train is None or val is None:
        return None
    return [at for at, part in enumerate(given) if part == train], [at for at, part in enumerate(given) if part == val]


def write_parts(
    dataset: ClassificationDataset, parts: tuple[Sequence[int], Sequence[int]], root: Path, folder: Path
) -> tuple[ClassificationSourceConfig, ClassificationSourceConfig]:
    """Write the lists ``train.csv`` and ``val.csv`` of these images; see ``split_classes``."""
    paths = [dataset.path(index) for index in range(len(dataset))]
    start, names = _relative(paths, root)
    sources = []
    for file, part in zip((folder / "train.csv", folder / "val.csv"), parts, strict=True):
        write_text(file, _table((names[index], dataset.names[dataset.label(index)]) for index in part))
        sources.append(ClassificationSourceConfig("list", str(start), annotations=str(file)))
    return sources[0], sources[1]


def _relative(paths: Sequence[Path], root: Path) -> tuple[Path, list[str]]:
    """The folder that paths start from, and the paths from there; a list may not leave its folder through a link."""
    try:
        b"".join(str(path).encode() for path in paths)
    except UnicodeEncodeError as error:
        raise DataError(f"{root}: the name of an image is no text in UTF-8, rename it: {error.object!r}") from error
    real, base = [path.resolve() for path in paths], root.expanduser().resolve()
    if all(path.is_relative_to(base) for path in real):
        return root, [path.relative_to(root).as_posix() for path in paths]
    above = Path(os.path.commonpath(real))
    return above, [path.relative_to(above).as_posix() for path in real]


def _table(rows: Iterable[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label"))
    writer.writerows(rows)
    return text.getvalue()
