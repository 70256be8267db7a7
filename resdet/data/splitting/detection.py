"""Splits a source into training and validation, as lists of images beside the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import DetectionDataset, classes_of_images
from resdet.data.splitting.groups import SHARE, following, groups_of, split_groups
from resdet.data.splitting.looks import looks
from resdet.errors import DataError
from resdet.files import write_text


@dataclasses.dataclass(frozen=True)
class SplitSource:
    """The two parts of a source, and the number of images of each."""

    train: DetectionSourceConfig
    val: DetectionSourceConfig
    images: tuple[int, int]


def split_source(
    source: DetectionSourceConfig, dataset: DetectionDataset, folder: Path, *, share: float = SHARE, seed: int = 0
) -> SplitSource:
    """Split a source and write ``train.txt`` and ``val.txt`` into ``folder``; the images stay where they are.

    Args:
        source: the source.
        dataset: what was read from it.
        folder: gets the lists.
        share: the part of the images that is for validation.
        seed: decides between equals: the same data and seed give the same lists.

    Raises:
        DataError: when there is one image, or one group of images that belong together, alone.
    """
    paths = [dataset.path(index) for index in range(len(dataset))]
    groups = groups_of(paths, looks(len(dataset), lambda index: dataset.photo(index)[0], following(paths)))
    parts = split_groups(groups, classes_of_images(dataset), share, seed)
    if not parts[1]:
        raise DataError(f"{dataset.source}: cannot be split: there is one image, or all {len(dataset)} belong together")
    root = Path(source.root).expanduser()
    files = [folder / "train.txt", folder / "val.txt"]
    for file, part in zip(files, parts, strict=True):
        names = [
            path.relative_to(root) if path.is_relative_to(root) else path.name for path in (paths[index] for index in part)
        ]
        write_text(file, "".join(f"{name}\n" for name in names))
    train, val = (dataclasses.replace(source, images=str(file)) for file in files)
    return SplitSource(train, val, (len(parts[0]), len(parts[1])))
