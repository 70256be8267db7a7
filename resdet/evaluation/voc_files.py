"""Writes and reads Pascal VOC's results files, ``comp4_det_<split>_<class>.txt``.

A line is ``image score xmin ymin xmax ymax``: the image's name in the image set, a score, and a box whose first and last pixels
are included, counted from 1. Here a box is continuous: ``x = xmin - 1, width = xmax - xmin + 1``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resdet.data.formats.coco_rows import is_number
from resdet.data.problems import Problems, shown
from resdet.errors import ConfigError, did_you_mean
from resdet.files import regular, write_text

# adding 1 to a small coordinate rounds it, so that an empty box may come back a little reversed; pixels
_ROUNDING = 1e-6
_RULE = "must be 'image score xmin ymin xmax ymax', finite numbers with xmax >= xmin - 1 and ymax >= ymin - 1, got"


def write_voc_results(
    folder: str | Path,
    split: str,
    results: Mapping[str, NDArray[Any]],
    image_names: Mapping[int, str],
    class_names: Mapping[int, str],
) -> list[Path]:
    """Write a file for each class, also for one without detections; numbers have all the digits of a float64.

    Args:
        folder: the folder to write to.
        split: the image set's name.
        results: columns "image_id" and "category_id" (D,), "bbox" (D, 4) ``x, y, width, height``, "score" (D,); lines keep
            their order.
        image_names: image id -> name in the image set.
        class_names: category id -> class name; letters that a file name cannot hold are written as ``%`` and two hex digits.

    Returns:
        The files' paths, in order of ``class_names``.

    Raises:
        ConfigError: when two classes would share a file, because the file system ignores upper and lower case.
    """
    lines: dict[int, list[str]] = {key: [] for key in class_names}
    x, y, width, height = results["bbox"].T
    numbers = np.column_stack([results["score"], x + 1, y + 1, x + width, y + height]).astype(np.float64)
    ids = (results[key].tolist() for key in ("image_id", "category_id"))
    for image, category, row in zip(*ids, numbers.tolist(), strict=True):
        lines[category].append(" ".join([image_names[image], *map(repr, row)]))
    paths: list[Path] = []
    for key, name in class_names.items():
        path = Path(folder) / f"comp4_det_{split}_{_file_part(name)}.txt"
        twin = next((other for other in paths if other.name.lower() == path.name.lower()), None)
        if twin and path.exists() and path.samefile(twin):
            raise ConfigError(f"{path}: is {twin.name} here, where large and small letters are the same in names")
        write_text(path, "".join(f"{line}\n" for line in lines[key]))
        paths.append(path)
    return paths


def read_voc_results(
    paths: Sequence[str | Path], split: str, image_names: Mapping[int, str], class_names: Mapping[int, str]
) -> dict[str, Any]:
    """Read results files: those of a folder called ``*_det_<split>_<class>.txt``, or files so called.

    Files of a class that the ground truth does not have are left out with a warning: it has no AP.

    Args:
        paths: one folder, or a file for each class.
        split: the image set's name.
        image_names: image id -> name in the image set.
        class_names: category id -> class name; each must have its file, which may be empty.

    Returns:
        Columns: "image_id" and "category_id" (D,), "bbox" float64 (D, 4) ``x, y, width, height``, "score" float64 (D,).

    Raises:
        ConfigError: when a file is missing, has another kind of name, or cannot be read.
        DataError: with every problem of the files, naming file and line.
    """
    files = _files_by_class(paths, split)
    categories = {name: key for key, name in class_names.items()}
    if missing := [name for name in categories if name not in files]:
        where = f"{', '.join(map(str, paths[:3]))}: no results file *_det_{split}"
        raise ConfigError([f"{where}_{_file_part(name)}.txt{did_you_mean(name, list(files))}" for name in missing])
    for name in sorted(files.keys() - categories.keys()):
        warnings.warn(f"{files[name]}: the ground truth has no such class: left out", stacklevel=2)
    ids = {name: key for key, name in image_names.items()}
    problems = Problems()
    images: list[int] = []
    labels: list[int] = []
    numbers: list[list[float]] = []
    for class_name, category in categories.items():
        for number, line in enumerate(map(str.strip, _lines(files[class_name])), 1):
            if not line:
                continue
            name, *values = line.rsplit(maxsplit=5)
            found = _numbers(values)
            if found is None:
                problems.add(f"{files[class_name]}: line {number}", f"{_RULE} {shown(line)}")
            elif name not in ids:
                problems.add(f"{files[class_name]}: line {number}", f"image {shown(name)} is not in the image set {split!r}")
            else:
                images.append(ids[name])
                labels.append(category)
                numbers.append(found)
    problems.raise_if_any()
    table = np.array(numbers, dtype=np.float64).reshape(-1, 5)
    corners = table[:, 1:]
    extents = np.maximum(corners[:, 2:] - corners[:, :2] + 1, 0)
    boxes = np.concatenate([corners[:, :2] - 1, extents], axis=1)
    return {"image_id": images, "category_id": labels, "bbox": boxes, "score": table[:, 0]}


def _file_part(name: str) -> str:
    """A class name as part of a file name, the same on every system."""
    return re.sub(r'[%/\\:*?"<>|\x00-\x1f]', lambda found: f"%{ord(found[0]):02X}", name)


def _class_name(part: str) -> str:
    """The class name that ``_file_part`` turned into ``part``; files of other tools may escape fewer letters."""
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), part)


def _files_by_class(paths: Sequence[str | Path], split: str) -> dict[str, Path]:
    """Results files by the class in their names."""
    pattern = re.compile(rf"[^_]+_det_{re.escape(split)}_(.+)\.txt")
    first = Path(paths[0])
    if len(paths) == 1 and first.is_dir():
        candidates = sorted(path for path in first.iterdir() if pattern.fullmatch(path.name))
        if not candidates:
            raise ConfigError(f"{first}: holds no results file *_det_{split}_<class>.txt")
    else:
        candidates = [Path(path) for path in paths]
    files: dict[str, Path] = {}
    wrong = []
    for path in candidates:
        found = pattern.fullmatch(path.name)
        if found is None:
            wrong.append(f"{path}: a VOC results file must be called *_det_{split}_<class>.txt")
        elif (name := _class_name(found[1])) in files:
            wrong.append(f"{path}: is of the same class as {files[name]}")
        else:
            files[name] = path
    if wrong:
        raise ConfigError(wrong)
    return files


def _lines(path: Path) -> list[str]:
    try:
        text = regular(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not text: {error}") from error
    return text.rstrip().split("\n") if text.strip() else []


def _numbers(values: Sequence[str]) -> list[float] | None:
    """Score and corners of a line; None when they are not five finite numbers of a box that is not reversed."""
    try:
        _, xmin, ymin, xmax, ymax = found = [float(value) for value in values]
    except ValueError:
        return None
    narrowest = -1 - _ROUNDING
    proper = all(map(is_number, found)) and xmax - xmin >= narrowest and ymax - ymin >= narrowest
    return found if proper else None
