"""A text file that names some images of a data set, as COCO's minival split is published."""

from __future__ import annotations

import os
from pathlib import Path

from resdet.data.dataset import DetectionDataset, subset
from resdet.errors import DataError
from resdet.files import read_text


def only_listed(dataset: DetectionDataset, path: str | Path, root: str | Path, *, by_id: bool) -> DetectionDataset:
    """The images of ``dataset`` that a text file names, one a line, in the data set's own order.

    A name is the image's path from ``root`` on or the name of its file, either with or without the suffix; where ``by_id`` it
    may also be the image's id. Empty lines are left out.

    Args:
        dataset: all images.
        path: the text file, UTF-8.
        root: the folder that the images lie in, at any depth.
        by_id: whether the data set's image ids come from its files, so that a person can know them.

    Raises:
        DataError: with every line that names no image, several, or one that an earlier line named, and when there is no line.
    """
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text: {error}") from error
    images = _images_by_name(dataset, root, by_id)
    chosen: dict[int, int] = {}
    problems: list[str] = []
    for number, name in ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()):
        found = images.get(name) or images.get(name.replace("\\", "/"), set())
        if len(found) != 1:
            problems.append(
                f"{path}: line {number}: {name!r:.80} names {len(found) or 'no'} image{'s'[: len(found)]} of the data set"
            )
        elif (index := min(found)) in chosen:
            problems.append(f"{path}: line {number}: {name!r:.80} is the image of line {chosen[index]} already")
        else:
            chosen[index] = number
    if not chosen and not problems:
        problems.append(f"{path}: names no image")
    if problems:
        raise DataError(problems)
    return subset(dataset, sorted(chosen))


def _images_by_name(dataset: DetectionDataset, root: str | Path, by_id: bool) -> dict[str, set[int]]:
    images: dict[str, set[int]] = {}
    for index, key in enumerate(dataset.image_ids):
        path = dataset.path(index)
        places = (path.name, Path(os.path.relpath(path, root)).as_posix())
        names = {name for place in places for name in (place, os.path.splitext(place)[0])}  # noqa: PTH122  # of a text
        for name in names | ({str(key)} if by_id else set()):
            images.setdefault(name, set()).add(index)
    return images
