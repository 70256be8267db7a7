"""Which files a person means who names files, folders, globs, lists, cameras."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from resdet.errors import ConfigError
from resdet.files import places_below, read_text
from resdet.inference.sources import folder_files
from resdet.inference.video import is_camera


class Input(NamedTuple):
    """A file to predict.

    Attributes:
        path: the file.
        place: the place of its results in the output folder: its path below the folder that was given, or that holds all files
            of a glob or list; else its name.
    """

    path: Path
    place: PurePath


def find_inputs(paths: Sequence[str]) -> list[Input]:
    """The files that the arguments mean, sorted within a folder or glob.

    A folder means its pictures and videos, with those of the folders in it; a number a camera, where no file is called so; a
    ``.txt`` file is a list of files and folders, one a line, from the working folder; ``-`` is such a list on standard input.

    Raises:
        ConfigError: for each argument that means no file.
    """
    files: list[Input] = []
    problems: list[str] = []
    for given in paths:
        path = Path(given)
        try:
            if given == "-" or (path.suffix.lower() == ".txt" and _is_file(path)):
                files += _listed(given)
            elif is_camera(given):
                files.append(Input(path, PurePath(f"camera_{given}")))
            elif _is_folder(path):
                files += [Input(file, file.relative_to(path)) for file in folder_files(path)]
            else:
                files += _placed([path] if _is_file(path) else _matching(given))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return files


def _listed(given: str) -> list[Input]:
    try:
        text = sys.stdin.read().removeprefix("\ufeff") if given == "-" else read_text(given)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{given}: cannot be read as a list of files: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "\0" in text:
        raise ConfigError(f"{given}: cannot be read as a list of files: it has a zero byte, which no name has")
    if not lines:
        raise ConfigError(f"{'standard input' if given == '-' else given}: names no file")
    paths = [Path(line) for line in lines]
    return _placed([file for path in paths for file in (folder_files(path) if _is_folder(path) else [path])])


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  (False, not an error, for a name too long)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def _placed(paths: list[Path]) -> list[Input]:
    return [Input(path, place) for path, place in zip(paths, places_below(paths), strict=True)]


def _matching(pattern: str) -> list[Path]:
    # not Path.glob, which does not accept absolute patterns
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        raise ConfigError(f"{pattern}: no such file or folder, and no glob that matches one")
    return found
