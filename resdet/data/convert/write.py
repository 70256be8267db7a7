"""Writes a detection data set as a folder of another format, and says what the format could not hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from resdet import system
from resdet.data.convert import FORMATS
from resdet.data.convert.coco_writer import write_coco
from resdet.data.convert.voc_writer import write_voc
from resdet.data.convert.written import Written, new_file
from resdet.data.convert.yolo_writer import write_yolo
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.file_names import unsafe_name
from resdet.errors import ConfigError
from resdet.files import unfinished_folder
from resdet.progress import track

_WRITERS: dict[str, Callable[[DetectionDataset, Path, str, Sequence[str]], Written]] = dict(
    zip(FORMATS, (write_coco, write_voc, write_yolo), strict=True)
)


def convert_dataset(
    dataset: DetectionDataset, to: str, folder: str | Path, split: str, *, copy_images: bool = False
) -> list[str]:
    """Write ``dataset`` in another format. The folder appears only once everything is written.

    Images are not encoded again: each becomes a hard link to its source file. It becomes a copy when copies are asked for, or
    when the file system cannot link.

    Args:
        dataset: the data set to write.
        to: one of ``FORMATS``; the module of each writer says what its files hold.
        folder: the target folder; it must be empty or not exist.
        split: the name of the image set.
        copy_images: whether to copy images instead of linking them.

    Returns:
        Lines that count what the format could not hold; no lines when nothing was lost.

    Raises:
        ConfigError: when the folder is not empty, or the split is not a file name.
        DataError: when the format cannot hold the names of images or classes; it lists every problem.
    """
    folder = Path(folder)
    problems = []
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problems.append(f"{folder}: must be a new or an empty folder")
    elif folder.is_symlink() or folder.resolve() == Path.cwd():  # these two cannot be put in place in one step
        problems.append(f"{folder}: must be a folder of its own, no link and not the current one")
    if unsafe_name(split) or {"/", "\\"} & set(split) or split != split.strip():
        problems.append(f"the split's name must do as a file name, got {split!r}")
    if problems:
        raise ConfigError(problems)
    with unfinished_folder(folder) as temporary:
        work = temporary / "data"
        images, lost = _WRITERS[to](dataset, work, split, _relative_names(dataset))
        placed: set[str] = set()
        for index, name in enumerate(track(images, len(images), "images")):
            if name not in placed:  # COCO may give one file two ids
                _place(dataset.path(index), new_file(work / name), copy=copy_images)
            placed.add(name)
        if folder.exists():
            folder.rmdir()
        system.replace(work, folder)
    return lost


def _relative_names(dataset: DetectionDataset) -> list[str]:
    """Each image's path from the folder that all of them lie in."""
    paths = [os.path.abspath(dataset.path(index)) for index in range(len(dataset))]  # noqa: PTH100  # links are kept
    common = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    return [Path(path).relative_to(common).as_posix() for path in paths]


def _place(source: Path, target: Path, *, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not copy:
        try:
            os.link(os.path.realpath(source), target)
        except OSError:  # another file system, or one without links
            copy = True
    if copy:
        shutil.copyfile(source, target)
