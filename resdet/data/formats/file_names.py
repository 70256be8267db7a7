"""The names that annotation files give to images: which are safe, and which file below a folder they mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from resdet.system import unusable_name

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_MANY = 64  # a folder with at least so many images is listed at once
_ODD = re.compile(r"[\\%]|^/")  # a name without any of these is looked up as it is


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image: by its suffix, and not hidden."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def unsafe_name(name: str) -> str | None:
    """The reason why a file name from an annotation file may not be used; None when it stays in its folder."""
    # the Windows rules cover both separators, and drive letters
    parsed = PureWindowsPath(name)
    if not name or "\0" in name or parsed.anchor or ".." in parsed.parts:
        return f"file name must be relative and stay in the images' folder, got {name!r}"
    if any(map(unusable_name, parsed.parts)):
        return f"file name must be one that Windows can use, got {name!r}"
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
        return f"file name must be text, got {name!r}"
    return None


def spelled_here(folder: str | Path, name: str) -> str:
    """A file name from an annotation file. Backslashes, from Windows programs, become ``/`` unless such a file exists."""
    if "\\" in name and not os.path.exists(os.path.join(folder, name)):  # noqa: PTH110, PTH118
        return name.replace("\\", "/")
    return name


def placed(folder: Path, name: str) -> tuple[str, str]:
    """The path below ``folder`` of the file that a name means, and what had to be changed in the name; "" for nothing.

    Backslashes may stand for slashes, ``%20`` for a space, and an absolute path may lead into the folder. A name that leads to
    no file comes back as it is, with slashes.
    """
    if not _ODD.search(name) or (not name.startswith("/") and os.path.lexists(folder / name)):
        return name, ""
    for other, note in _readings(folder, name):
        # os.path.isfile is False, not an error, for a name too long
        if unsafe_name(other) is None and os.path.isfile(folder / other):  # noqa: PTH113
            return other, note
    return spelled_here(folder, name), ""


def _readings(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    slashed = name.replace("\\", "/")
    yield slashed, "file names are written with backslashes"
    if inside := below(folder, slashed):
        yield inside, "file names are absolute paths into the images' folder"
    yield unquote(slashed), "file names are encoded as in a URL (%20 for a space)"
    if inside := below(folder, unquote(slashed)):
        yield inside, "file names are absolute paths into the images' folder"


def below(folder: Path, name: str) -> str:
    """The rest of an absolute path that leads into ``folder``, by slashes; "" where it leads elsewhere or is relative."""
    for start in (os.path.abspath(folder), os.path.realpath(folder)):  # noqa: PTH100
        prefix = Path(start).as_posix().rstrip("/") + "/"
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""


def same_stem(path: str | Path) -> list[str]:
    """The names of the images beside ``path`` that have its name but for the suffix and upper and lower case, sorted."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0].lower()  # noqa: PTH122
    try:
        return sorted(
            entry.name
            for entry in os.scandir(folder or ".")
            if os.path.splitext(entry.name)[0].lower() == stem and is_image_name(entry.name) and entry.is_file()  # noqa: PTH122
        )
    except OSError:
        return []


def missing_files(paths: Sequence[bytes]) -> list[int]:
    """The indices of the ``paths`` that are not files, in order.

    A folder with many of them is listed at once: on a network file system that is faster than asking for each file.
    """
    folders: dict[bytes, list[int]] = {}
    for index, path in enumerate(paths):
        folders.setdefault(os.path.dirname(path), []).append(index)  # noqa: PTH120
    missing: list[int] = []
    for folder, indices in folders.items():
        listed = _listed(folder) if len(indices) >= _MANY else set()
        left = [index for index in indices if os.path.basename(paths[index]) not in listed]  # noqa: PTH119
        # a file may exist although the list lacks it, when the file system ignores upper and lower case; unlike Path.is_file,
        # os.path.isfile returns False and raises no error for a name that is too long
        missing += [index for index in left if not os.path.isfile(paths[index])]  # noqa: PTH113
    return sorted(missing)


def _listed(folder: bytes) -> set[bytes]:
    """The names of the files in a folder; none where it cannot be read."""
    try:
        return {entry.name for entry in os.scandir(folder) if entry.is_file()}
    except OSError:
        return set()
