"""Finds the images of an export, which knows them by the paths and URLs of another computer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from resdet.data.formats.file_names import is_image_name, placed, unsafe_name
from resdet.data.formats.nearest import files_below

_BY_NAME = "images are found by their file names alone, not at the paths or URLs that the file writes"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # Label Studio puts eight digits before the name of an uploaded file


class ImagePlaces:
    """The images below a folder, by what exports call them; the folder is gone through when a name is not at its place."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, list[str]] | None = None

    def find(self, name: str) -> tuple[str, str]:
        """The path below the folder of the image that ``name`` means, and a note of how it was found, "" where it lies there.

        What is not found comes back as it is, or, of a URL and of an absolute path, the name of its file.
        """
        file, note = placed(self._root, name)
        # os.path.isfile is False, not an error, for a name too long
        if unsafe_name(file) is None and os.path.isfile(self._root / file):  # noqa: PTH113
            return file, ""  # the builder counts what was changed in the name
        for path in _readings(name):
            found = self._nearest(path)
            if found:
                return found, _BY_NAME
        elsewhere = "://" in name or PureWindowsPath(name).anchor
        return (PurePosixPath(next(_readings(name))).name or name if elsewhere else name), note

    def _nearest(self, path: str) -> str:
        """The image of a path's file name; of several that with most folders in common with it. "" where that is not one."""
        place = PurePosixPath(path)
        found = self._index().get(place.name, [])
        shared = [(_in_common(place.parts, PurePosixPath(other).parts), other) for other in found]
        best = [other for count, other in shared if count == max(shared)[0]]
        return best[0] if len(best) == 1 else ""

    def _index(self) -> dict[str, list[str]]:
        """The images by the names of their files, with and without suffix."""
        if self._names is None:
            self._names = {}
            for path in files_below(self._root):
                place = PurePosixPath(path)
                if is_image_name(place.name):
                    for name in (place.name, place.stem):
                        self._names.setdefault(name, []).append(path)
        return self._names


def _readings(name: str) -> Iterator[str]:
    """The paths that a name may mean, with slashes."""
    slashed = name.replace("\\", "/")
    parts = _url(slashed if "://" in slashed or "?" in slashed else "")
    for path in (*parse_qs(parts.query).get("d", []), parts.path or slashed):  # Label Studio's local files: ?d=folder/a.jpg
        for each in dict.fromkeys((path, unquote(path))):
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
