"""Finds the images of an annotation file that knows them by the paths and URLs of another computer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from resdet.data.formats.file_names import is_image_name, placed, unsafe_name
from resdet.data.formats.nearest import files_below, spelled_alike

_BY_NAME = "images are found by their file names alone, not at the paths or URLs that the file writes"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # Label Studio puts eight digits before the name of an uploaded file


class ImagePlaces:
    """The images below a folder, by what files call them; the folder is gone through when a name is not at its place."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, list[str]] | None = None

    def find(self, name: str) -> tuple[str, str]:
        """The path below the folder of the image that ``name`` means, and a note of how it was found, "" where it lies there.

        What is not found comes back as it is, with slashes.
        """
        file, note = placed(self._root, name)
        # os.path.isfile is False, not an error, for a name too long
        if unsafe_name(file) is None and os.path.isfile(self._root / file):  # noqa: PTH113
            return file, note
        first, *others = _readings(name)
        if unsafe_name(first) and PurePosixPath(first).parent.name in ("", ".."):  # a slip, and no path of another computer
            return file, note
        found = next(filter(None, map(self._nearest, (first, *others))), "")
        return (found, _BY_NAME) if found else (file, note)

    def _nearest(self, path: str) -> str:
        """The image of a path's file name; of several that with most folders in common with it. "" where that is not one.

        The folders above the root count too: of ``photos/a.jpg`` and ``photos/old/a.jpg`` in ``photos`` it is the first.
        """
        place = PurePosixPath(spelled_alike(path))
        found = self._index().get(place.name, [])
        if path in found:
            return path
        above = PurePosixPath(spelled_alike(self._root.absolute().as_posix()))
        shared = [(_in_common(place.parts[:-1], (above / spelled_alike(other)).parts[:-1]), other) for other in found]
        best = [other for count, other in shared if count == max(shared)[0]]
        return best[0] if len(best) == 1 else ""

    def _index(self) -> dict[str, list[str]]:
        """The images by the names of their files, with and without suffix."""
        if self._names is None:
            self._names = {}
            for path in files_below(self._root) if self._root.is_dir() else ():
                place = PurePosixPath(spelled_alike(path))
                if is_image_name(place.name):
                    for name in (place.name, place.stem):
                        self._names.setdefault(name, []).append(path)
        return self._names


def _readings(name: str) -> Iterator[str]:
    """The paths that a name may mean, with slashes."""
    slashed = name.replace("\\", "/")
    parts = _url(slashed if "://" in slashed or "?" in slashed else "")
    for path in (*parse_qs(parts.query).get("d", []), parts.path or slashed):  # Label Studio's local files: ?d=folder/a.jpg
        for each in dict.fromkeys((path, unquote(path).replace("\\", "/"))):
            yield each
            folder, _, last = each.rpartition("/")
            if uploaded := _UPLOADED.fullmatch(last):
                yield f"{folder}/{uploaded[1]}"


def _url(text: str) -> SplitResult:
    """The parts of a URL; those of none for what is no URL, such as one with brackets around no address."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _in_common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts two paths share from their ends on."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
