"""Interprets the arguments of ``predict``: model files, options, and input files."""

from __future__ import annotations

import argparse
import contextlib
import glob
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from resdet.commands.common import is_override
from resdet.errors import ConfigError
from resdet.files import regular
from resdet.version import __version__

FORMATS = ("pictures", "json", "coco", "csv", "labelstudio", "yolo", "voc", "crops")
_ASKED = (
    "format", "score_thresh", "classes", "max_det", "short_side", "tile", "overlap", "every", "precision", "compile",
)  # fmt: skip


def check_predict_arguments(args: argparse.Namespace) -> None:
    """Raise a ConfigError with every argument of ``predict`` that is out of range; ``args.format`` becomes a list."""
    args.format = [name for name in args.format.split(",") if name]
    problems = [f"--format must be of {', '.join(FORMATS)}, got {name!r}" for name in args.format if name not in FORMATS]
    if not args.format:
        problems.append("--format names no format")
    if not 0 <= args.score_thresh <= 1:
        problems.append(f"--score-thresh must be in [0, 1], got {args.score_thresh}")
    for name, low in (("max_det", 1), ("short_side", 16), ("every", 1)):
        value = getattr(args, name)
        if value is not None and value < low:
            problems.append(f"--{name.replace('_', '-')} must be at least {low}, got {value}")
    if problems:
        raise ConfigError(problems)


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
    files = [first, *(item for item in rest if item.endswith((".safetensors", ".onnx", ".xml")) or item.startswith("hf://"))]
    rest = [item for item in rest if item not in files] + list(others)
    overrides = [item for item in rest if is_override(item)]
    paths = [item for item in rest if item not in overrides]
    if not paths:
        raise ConfigError("predict needs at least one PATH: an image, a folder of images, a glob, or a video")
    return files, paths, overrides


def detector_options(overrides: Sequence[str], command: str = "predict") -> dict[str, Any]:
    """``["model.test.refine=true"]`` as ``{"refine": True}``; a ConfigError for each option of another section."""
    import yaml

    options: dict[str, Any] = {}
    problems = []
    for text in overrides:
        key, _, value = text.partition("=")
        if not key.startswith("model.test."):
            problems.append(f"argument {text!r}: {command} changes options of 'model.test' only")
            continue
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed = value
        options[key.removeprefix("model.test.")] = "" if parsed is None else parsed
    if problems:
        raise ConfigError(problems)
    return options


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """What the results of ``predict`` depend on besides the files to predict, as JSON."""
    weights, _, overrides = separate_arguments(args.weights, args.paths)
    own = {name: getattr(args, name) for name in _ASKED}
    return {"version": __version__, "weights": [stamp(Path(name)) for name in weights], "test": overrides, **own}


def stamp(path: Path) -> tuple[str, int, int]:
    """A file's path, its size in bytes, and when it was last written, ns; -1 where there is none."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return str(path), status.st_size, status.st_mtime_ns
    return str(path), -1, -1


class Input(NamedTuple):
    """A file to predict.

    Attributes:
        path: the file.
        place: its path below the folder that was given, or its name: the place of its results in the output folder.
    """

    path: Path
    place: PurePath


def find_inputs(paths: Sequence[str]) -> list[Input]:
    """The files that the arguments mean, sorted within a folder or glob.

    A folder means its pictures and videos, with those of the folders in it; a number a camera, where no file is called so; a
    ``.txt`` file is a list of paths, one a line, from the working folder; ``-`` is such a list on standard input.

    Raises:
        ConfigError: for each argument that means no file.
    """
    from resdet.inference.sources import folder_files
    from resdet.inference.video import is_camera

    files: list[Input] = []
    problems: list[str] = []
    for given in paths:
        path = Path(given)
        try:
            if given == "-" or (path.suffix.lower() == ".txt" and path.is_file()):
                files += _listed(given)
            elif is_camera(given):
                files.append(Input(path, PurePath(f"camera_{given}")))
            elif path.is_dir():
                files += [Input(file, file.relative_to(path)) for file in folder_files(path)]
            else:
                files += [Input(file, PurePath(file.name)) for file in ([path] if path.is_file() else _matching(given))]
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return files


def _listed(given: str) -> list[Input]:
    try:
        text = sys.stdin.read() if given == "-" else regular(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{given}: cannot be read as a list of files: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ConfigError(f"{'standard input' if given == '-' else given}: names no file")
    return [Input(Path(line), PurePath(Path(line).name)) for line in lines]


def _matching(pattern: str) -> list[Path]:
    # not Path.glob, which does not accept absolute patterns
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        raise ConfigError(f"{pattern}: no such file or folder, and no glob that matches one")
    return found
