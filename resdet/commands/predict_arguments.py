"""Interprets the arguments of ``predict``: model files, options, and input files."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resdet.commands.common import is_override
from resdet.errors import ConfigError


def separate_arguments(weights: Sequence[str], others: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """The model files, paths and ``key=value`` options of a command line that may mix them.

    Args:
        weights: the words after ``--weights``: a model file, further model files known by their suffix ``.safetensors``, then
            paths and options.
        others: the paths and options elsewhere on the command line.

    Raises:
        ConfigError: when there is no path.
    """
    first, *rest = weights
    files = [first, *(item for item in rest if item.endswith(".safetensors"))]
    rest = [item for item in rest if item not in files] + list(others)
    overrides = [item for item in rest if is_override(item)]
    paths = [item for item in rest if item not in overrides]
    if not paths:
        raise ConfigError("predict needs at least one PATH: an image, a folder of images, a glob, or a video")
    return files, paths, overrides


def detector_options(overrides: Sequence[str]) -> dict[str, Any]:
    """``["model.test.refine=true"]`` as ``{"refine": True}``; a ConfigError for each option of another section."""
    import yaml

    options: dict[str, Any] = {}
    problems = []
    for text in overrides:
        key, _, value = text.partition("=")
        if not key.startswith("model.test."):
            problems.append(f"argument {text!r}: predict changes options of 'model.test' only")
            continue
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed = value
        options[key.removeprefix("model.test.")] = "" if parsed is None else parsed
    if problems:
        raise ConfigError(problems)
    return options


def find_inputs(paths: Sequence[str]) -> list[Path]:
    """The files that the arguments mean, sorted within a folder or glob.

    Raises:
        ConfigError: for each argument that means no file.
    """
    from resdet.inference.sources import folder_files

    files: list[Path] = []
    problems: list[str] = []
    for given in paths:
        path = Path(given)
        try:
            found = folder_files(path) if path.is_dir() else [path] if path.is_file() else _matching(given)
        except ConfigError as error:
            problems += error.problems
        else:
            files += found
    if problems:
        raise ConfigError(problems)
    return files


def _matching(pattern: str) -> list[Path]:
    # not Path.glob, which does not accept absolute patterns
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        raise ConfigError(f"{pattern}: no such file or folder, and no glob that matches one")
    return found
