"""YOLO: ``images/<split>``, ``labels/<split>`` and ``data.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from resdet.data.convert.written import Written, counted, lost_numbers, new_file, shared_stems
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.file_names import is_image_name
from resdet.data.formats.yolo import DESCRIPTION, SPLITS, label_path
from resdet.errors import ConfigError, DataError


def write_yolo(dataset: DetectionDataset, folder: Path, split: str, names: Sequence[str]) -> Written:
    """Write one text file for each image, empty for one without objects, and the class names in label order.

    Numbers are written with all digits of a float64, so that boxes read back agree to far below the last digit of a float32.
    Boxes are clipped to their images, because the format allows nothing outside. Crowds are left out, because YOLO would take
    them for single objects. Difficult objects become ordinary ones.

    Raises:
        ConfigError: when the split is not train, val or test.
        DataError: when images would share a label file, or have a suffix that readers do not take for an image.
    """
    if split not in SPLITS:
        raise ConfigError(f"the split's name in a YOLO folder must be one of {', '.join(SPLITS)}, got {split!r}")
    problems = shared_stems(names)
    problems += [
        f"image {name!r}: has no suffix by which YOLO's images are found"
        for name in names
        if not is_image_name(PurePosixPath(name).name)
    ]
    if problems:
        raise DataError(problems)
    folder.mkdir(parents=True)
    content = {split: f"images/{split}", "names": dict(enumerate(dataset.names))}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")
    fractions = _fractions(dataset)
    for index, name in enumerate(names):
        rows = [row for row in range(dataset.offsets[index], dataset.offsets[index + 1]) if not dataset.crowd[row]]
        path = folder / label_path(f"images/{split}/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [" ".join(map(repr, (int(dataset.labels[row]), *fractions[row].tolist()))) + "\n" for row in rows]
        new_file(path).write_text("".join(lines), encoding="utf-8", newline="\n")
    return Written([f"images/{split}/{name}" for name in names], _lost(dataset))


def _limits(dataset: DetectionDataset) -> np.ndarray:
    """(N, 2): width and height of each object's image."""
    return np.repeat(dataset.sizes[:, ::-1], np.diff(dataset.offsets), axis=0)


def _fractions(dataset: DetectionDataset) -> np.ndarray:
    """(N, 4): centre x and y, width and height of each object as fractions of its image's sides, clipped to it."""
    limits = _limits(dataset)
    low = np.clip(dataset.boxes[:, :2], 0, limits)
    high = np.clip(dataset.boxes[:, :2] + dataset.boxes[:, 2:], 0, limits)
    return np.concatenate([(low + high) / 2 / limits, (high - low) / limits], axis=1)


def _lost(dataset: DetectionDataset) -> list[str]:
    far = dataset.boxes[:, :2] + dataset.boxes[:, 2:] > _limits(dataset)
    clipped = ((dataset.boxes[:, :2] < 0) | far).any(axis=1)
    return [
        *counted(int(dataset.crowd.sum()), "crowds were left out"),
        *counted(int(dataset.difficult.sum()), "difficult objects became ordinary ones"),
        *counted(int(clipped.sum()), "boxes were clipped to their images"),
        *lost_numbers(dataset),
    ]
