"""Checks whether the files, folders and image sets that options name exist, and writes the messages when they do not."""

from __future__ import annotations

import os
from pathlib import Path

from resdet.errors import ConfigError, did_you_mean

# os.path and not pathlib: it returns False, without an error, for a name that is too long and for an unknown user's home


def is_file(value: str) -> bool:
    """Whether an option's value names a file."""
    return os.path.isfile(os.path.expanduser(value))  # noqa: PTH111, PTH113


def is_folder(value: str) -> bool:
    """Whether an option's value names a folder."""
    return os.path.isdir(os.path.expanduser(value))  # noqa: PTH111, PTH112


def path_of(value: str) -> Path | None:
    """The path that an option names; None when the option is empty."""
    return Path(value).expanduser() if value else None


def existing_file(option: str, value: str) -> Path:
    """The file that an option names; a ConfigError where there is none."""
    if not is_file(value):
        raise ConfigError(no_file(option, value))
    return Path(value).expanduser()


def no_file(option: str, value: str) -> str:
    """The message for an option that names no file."""
    return f"option '{option}' must name a file, got {value!r}"


def no_folder(option: str, value: str, what: str = "a folder") -> str:
    """The message for an option that names no folder."""
    return f"option '{option}' must name {what}, got {value!r}"


def no_list(option: str, value: str, folder: Path) -> list[str]:
    """Problems with an option that must name a list in a folder of image sets; [] when it does."""
    if value and is_file(str(folder / f"{value}.txt")):
        return []
    known = did_you_mean(value, sorted(path.stem for path in folder.glob("*.txt")))
    return [f"{option} must name a list of {folder}, got {value!r}{known}"]
