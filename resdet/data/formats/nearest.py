"""Which image belongs to an annotation file, in a folder of any layout: the nearest one of the same name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from resdet.data.formats.file_names import is_image_name
from resdet.files import walk_files


def spelled_alike(name: str) -> str:
    """A name with its letters and their accents in one form, for macOS writes an é as two characters and others as one."""
    return unicodedata.normalize("NFC", name)


def files_below(root: Path) -> list[str]:
    """The files below a folder, by their paths from it on with slashes, sorted.

    What begins with a dot, and what macOS adds to archives, is left out.
    """
    paths = (Path(os.path.relpath(path, root)) for path in walk_files(root))
    return sorted(
        path.as_posix() for path in paths if not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    )


class NearestImages:
    """The images of a folder, found by their names without suffix.

    Args:
        files: paths from the folder on, with slashes; those that are no images are left alone.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.paths = [path for path in files if is_image_name(path.rpartition("/")[2])]
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_stem.setdefault(spelled_alike(PurePosixPath(path).stem).lower(), []).append(path)

    def of(self, annotation: str, suffix: str = "") -> list[str]:
        """The images nearest to an annotation file: that with most folders in common; several where none is nearer.

        Folders count that the two paths share at their beginning (``train/a.xml``) and at their end (``Annotations/x/a.xml``,
        ``JPEGImages/x/a.jpg``). Of images that are equally near, that with ``suffix`` is taken.
        """
        place = PurePosixPath(spelled_alike(annotation))
        found = self._by_stem.get(place.stem.lower(), [])
        exact = [path for path in found if spelled_alike(PurePosixPath(path).stem) == place.stem] or found
        near = [(_shared(place.parts[:-1], PurePosixPath(spelled_alike(path)).parts[:-1]), path) for path in exact]
        best = [path for score, path in near if score == max(near)[0]]
        return [path for path in best if path.endswith(suffix)][:1] or best if suffix else best


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[int, int]:
    """How many folders two paths share, and less than how many folders of the second are not shared."""
    length = min(len(one), len(other))
    start = next((index for index in range(length) if one[index] != other[index]), length)
    end = next((index for index in range(length - start) if one[-1 - index] != other[-1 - index]), length - start)
    return start + end, -len(other)
