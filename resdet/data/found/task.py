"""Finds out whether the data below a path are for a detector or for a classifier."""

from __future__ import annotations

from pathlib import Path

from resdet.data.found.classification import find_classes
from resdet.data.found.detection import find_data
from resdet.errors import DataError


def find_task(path: str | Path) -> str:
    """``"detection"`` where there are annotations of boxes, else ``"classification"`` where images have a class each.

    Raises:
        ConfigError: there is no such path.
        DataError: there is neither, with what was looked for.
    """
    try:
        find_data(path)
    except DataError as no_boxes:
        try:
            find_classes(path)
        except DataError as no_classes:
            raise DataError([*no_boxes.problems, *no_classes.problems]) from no_classes
        return "classification"
    return "detection"
