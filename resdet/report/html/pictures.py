"""The pictures of a data set as a page shows them: names, links to the originals, thumbnails."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image

from resdet.errors import DataError
from resdet.files import places_below
from resdet.images import read_image, read_size
from resdet.report.html.thumbnails import MOST_PICTURES, Thumbnails


class Shown(NamedTuple):
    """A picture without what was found on it.

    Attributes:
        place: its place in the data set.
        name: its file, below the folder that all pictures are in.
        link: the way from the page's folder to it; "" where there is no file.
        width: pixels of the original; 0 when it could not be read and its size is not known.
        height: the same.
        thumbnail: a JPEG; b"" when it could not be read.
    """

    place: int
    name: str
    link: str
    width: int
    height: int
    thumbnail: bytes


def worst_first(errors: Sequence[float]) -> list[int]:
    """The indices of the 5,000 pictures with the most errors, in their own order; of equal ones the first."""
    worst = np.argsort(-np.asarray(errors, dtype=np.float64), kind="stable")[:MOST_PICTURES]
    indices: list[int] = np.sort(worst).tolist()
    return indices


def shown_pictures(
    indices: Sequence[int], path: Callable[[int], Path], load: Callable[[int], Image.Image], folder: Path
) -> list[Shown]:
    """Read the pictures ``indices`` of a data set.

    Args:
        indices: which ones.
        path: gives the file of a picture; where there is none, its name.
        load: gives a picture that is no file.
        folder: the folder of the page.
    """
    paths = [path(index) for index in indices]
    names = [place.as_posix() for place in places_below(paths)] if paths else []
    thumbnail = Thumbnails(len(paths))
    found = []
    for index, file, name in zip(indices, paths, names, strict=True):
        is_file = file.is_file()
        try:
            image, (height, width) = _read(file, thumbnail.side) if is_file else _loaded(load(index))
            content = thumbnail(image)
        except DataError:  # the page says how many could not be read
            content, height, width = b"", 0, 0
        found.append(Shown(index, name, _link(file, folder) if is_file else "", width, height, content))
    return found


def notes_on(shown: Sequence[Shown], total: int) -> list[str]:
    """What a gallery lacks: pictures beyond the limit, and those that could not be read."""
    notes = []
    if len(shown) < total:
        notes.append(f"These are the {len(shown):,} of {total:,} pictures with the most errors.")
    if lost := sum(not each.thumbnail for each in shown):
        notes.append(f"{lost:,} of the pictures could not be read; their boxes are shown without them.")
    return notes


def _read(file: Path, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """A picture, perhaps decoded smaller but for a longer side of ``side``, and the (height, width) of the original."""
    size = read_size(file)
    shrink = next((each for each in (8, 4, 2) if max(size) // each >= side), 1)
    return read_image(file, shrink=shrink), size


def _loaded(image: Image.Image) -> tuple[Image.Image, tuple[int, int]]:
    return image, (image.height, image.width)


def _link(file: Path, folder: Path) -> str:
    """A relative address, as a browser follows it: by names alone, whatever links the folders are."""
    try:
        relative = Path(os.path.relpath(os.path.abspath(file), os.path.abspath(folder)))  # noqa: PTH100
        return quote(os.fsencode(relative.as_posix()))
    except ValueError:  # on another drive
        return file.absolute().as_uri()
