"""Where files are: below a folder, in the cache, and whether two paths are one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath


def cache_folder() -> Path:
    """Where the toolkit keeps what can be made again: ``resdet`` in ``XDG_CACHE_HOME``, or in ``.cache`` of the home folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "resdet"


def identity(path: str | Path) -> tuple[object, int]:
    """What two paths have in common that are one file, by a link or in other letters; where there is none, its place."""
    with contextlib.suppress(OSError):
        status = os.stat(path)  # noqa: PTH116
        if status.st_ino:  # some file systems do not number their files
            return status.st_dev, status.st_ino
    return os.path.realpath(path), 0


def places_below(paths: Sequence[Path]) -> list[PurePath]:
    """The paths of files below the folder that holds all of them; their names alone where none does, on several drives."""
    whole = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - not through links, and without ".."
    try:
        above = os.path.commonpath([os.path.dirname(path) for path in whole])  # noqa: PTH120
    except ValueError:
        return [PurePath(path.name) for path in paths]
    # not relative_to, for which "//a" is not below "/"
    return [PurePath(os.path.relpath(path, above)) for path in whole]


def walk_files(folder: str | Path) -> Iterator[str]:
    """The files below a folder, links followed, each folder's in no order; a link back to a folder above is not."""

    def walk(path: str, above: frozenset[tuple[object, int]]) -> Iterator[str]:
        here = identity(path)
        if here in above:
            return
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from walk(entry.path, above | {here})
                else:
                    yield entry.path

    return walk(os.fspath(folder), frozenset())
