"""Finds out whether the data below a path are for a detector or for a classifier."""

from __future__ import annotations

from pathlib import Path

from resdet.data.found.classification import find_classes
from resdet.data.found.detection import find_data
from resdet.data.found.kinds import unread_program
from resdet.errors import DataError


def find_task(path: str | Path) -> str:
    """``"detection"`` where there are annotations of boxes, else ``"classification"`` where images have a class each.

    Raises:
        ConfigError: there is no such path.
        DataError: there is neither, with what was looked for; or the boxes of a table cannot be read.
    """
    try:
        find_data(path)
    except DataError as no_boxes:
        try:
            source = find_classes(path).train
        except DataError as no_classes:
            raise DataError([*no_boxes.problems, *no_classes.problems]) from no_classes
        if source.format == "list" and unread_program(Path(source.annotations)):  # boxes that would be passed over
            raise
        return "classification"
    return "detection"
