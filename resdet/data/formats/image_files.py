"""Finds the files of a source's images, and tells those that are missing and those that are one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resdet.data.formats.file_names import missing_files, placed, same_stem, unsafe_name
from resdet.data.formats.places import ImagePlaces

_SEARCHED = 20  # of so many missing files it is told which file beside them may be meant


class _File(NamedTuple):
    """The file of an image: what the image is called in messages, its index, and the folder that names start from."""

    where: str
    path: bytes
    image: int
    folder: Path


class ImageFiles:
    """The files of a source's images.

    Args:
        note: called for each image that is found otherwise than its name says, with the plural of how, and the image's place.

    Attributes:
        paths: the file of each image that was added; empty where its name may not be used.
    """

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self.paths: list[bytes] = []
        self._note = note
        self._files: list[_File] = []
        self._places: dict[Path, ImagePlaces] = {}

    def add(self, where: str, folder: Path, name: str, *, at_once: bool) -> str | None:
        """Add the file ``folder/name`` of the next image; return what is wrong with the name.

        A name that leads to no file is looked for below ``folder`` where ``at_once``; else ``missing`` does, for all together.
        """
        name, note = placed(folder, name)
        if unsafe_name(name) or (at_once and not os.path.isfile(folder / name)):  # noqa: PTH113
            name, note = self._places_of(folder).find(name)
        if note:
            self._note(note, where)
        if problem := unsafe_name(name):
            self.paths.append(b"")
            absent = "" if name.startswith("..") else f"; no image called {PurePosixPath(name).name!r:.80} lies there"
            return f"{where}: {problem}{absent}"
        path = os.fsencode(folder / name)
        self._files.append(_File(where, path, len(self.paths), folder))
        self.paths.append(path)
        return None

    def missing(self) -> list[str]:
        """A line for each image file that is missing and that no other of its name stands in for."""
        lines: list[str] = []
        absent = missing_files([file.path for file in self._files])
        used = {file.path for file in self._files}
        for place in absent:
            where, path, image, folder = self._files[place]
            name, note = self._places_of(folder).find(os.path.relpath(os.fsdecode(path), folder))
            other = os.fsencode(folder / name)
            if note and other not in used:
                used.add(other)
                self._note(note, where)
                self._files[place] = _File(where, other, image, folder)
                self.paths[image] = other
                continue
            near = same_stem(os.fsdecode(path)) if len(lines) < _SEARCHED else []
            there = f" (the file is there with another suffix: {near[0]})" if near else ""
            lines.append(f"{where}: no such image file: {os.fsdecode(path)}{there}")
        return lines

    def shared(self, source: str) -> list[str]:
        """A line for each image whose file is another's too: what one of the two lacks would be trained as background.

        ``source`` is what places in messages begin with.
        """
        first: dict[bytes, str] = {}
        return [
            f"{where}: its file is that of {first[path].removeprefix(f'{source}: ')} too: {os.fsdecode(path)}"
            for where, path, *_ in self._files
            if first.setdefault(path, where) is not where
        ]

    def _places_of(self, folder: Path) -> ImagePlaces:
        return self._places.setdefault(folder, ImagePlaces(folder))
