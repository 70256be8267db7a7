"""Writes a mended copy of a data set, in its own format where that can be written, and what was changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resdet.config.schema import DetectionSourceConfig
from resdet.data.convert import FORMATS
from resdet.data.convert.unread import unread_fields
from resdet.data.convert.write import convert_dataset
from resdet.data.dataset import DetectionDataset
from resdet.data.described import Source
from resdet.data.formats.yolo import SPLITS
from resdet.data.inspection.looks import look_at
from resdet.data.inspection.mend import Change, left_alone, mended, unmended
from resdet.errors import DataError
from resdet.files import write_csv

CHANGES = "changes.csv"


class Fixed(NamedTuple):
    """A mended copy that was written.

    Attributes:
        dataset: the mended data set.
        changes: what was changed.
        form: the format that was written.
        lost: lines on what that format cannot hold, or what is not read.
    """

    dataset: DetectionDataset
    changes: list[Change]
    form: str
    lost: list[str]


def write_fixed(
    source: Source,
    dataset: DetectionDataset,
    folder: Path,
    kinds: Sequence[str] | None = None,
    changes: Sequence[Change] = (),
) -> Fixed:
    """Mend a data set and write the copy with ``changes.csv``; the source stays as it is, and its images are linked or copied.

    Args:
        source: where the data set was read from.
        dataset: the data set.
        folder: the target; it must be empty or not exist.
        kinds: the kinds of findings to mend, of ``mend.KINDS``; None: all.
        changes: what was changed in the data set before.

    Raises:
        ConfigError: when the folder is not empty.
        DataError: when no image is left, boxes are left that no reader takes, or the format cannot hold the names of images or
            classes.
    """
    fixed, changes = dataset, list(changes)
    if kinds is None or kinds:
        fixed, more = mended(dataset, look_at(dataset), kinds or ())
        changes += more
    if problems := unmended(fixed):
        raise DataError(problems)
    if not len(fixed):
        raise DataError(f"{dataset.source}: no image is left when all that is wrong is removed")
    form = source.format if source.format in FORMATS else "coco"
    split = source.split or Path(source.annotations).stem.removeprefix("instances_") or "train"
    # a folder of YOLO has splits of these names alone
    lost = convert_dataset(fixed, form, folder, split if form != "yolo" or split in SPLITS else "train")
    write_csv(folder / CHANGES, Change._fields, changes)
    unread = unread_fields(source, dataset) if isinstance(source, DetectionSourceConfig) else []
    return Fixed(fixed, changes, form, [*left_alone(fixed), *lost, *unread])
