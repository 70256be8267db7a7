"""Tiny-ImageNet-200: images of 64 x 64 pixels with one box each.

The coordinates of a box are those of its first and its last pixel, counted from 0 (they run from 0 to 63). Here a box is
continuous: ``xmin, ymin, xmax + 1, ymax + 1``; those of equal corners, as some are, are one pixel wide.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resdet.data.convention import Convention
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.data.formats.file_names import is_image_name
from resdet.data.formats.folder import sub_folders
from resdet.data.formats.imagenet import counted
from resdet.data.localization import UNLABELLED, LocalizedImages, localized_images
from resdet.errors import DataError
from resdet.files import read_text
from resdet.images import read_size


class _Line(NamedTuple):
    """One line of a table: where it stands, the image's class, ``xmin, ymin, xmax, ymax``."""

    where: str
    wnid: str
    corners: tuple[float, ...]


def read_tiny_imagenet(root: str | Path, split: str, names: Sequence[str] | None = None) -> LocalizedImages:
    """Read ``train``, ``val`` or ``test``; class names are WordNet ids (wnids), labels are their sorted order.

    ``train/<wnid>`` holds ``images`` and ``<wnid>_boxes.txt`` with lines ``file xmin ymin xmax ymax``; ``val`` holds ``images``
    and ``val_annotations.txt`` with lines ``file wnid xmin ymin xmax ymax``; ``test`` holds ``images``, which are
    ``UNLABELLED``. An image of train need not have a line: it has a class and no box.

    Args:
        root: the folder of train, val and test.
        split: which of them.
        names: wnids in label order; when not given the folders of train, or where there is none the lines of wnids.txt, sorted.

    Raises:
        DataError: with every problem: folders or tables that are missing, broken lines, lines without an image, images of val
            without a line, images listed twice, unknown wnids, boxes that are not finite, reversed or wholly outside.
    """
    root = Path(root)
    folder = root / split
    builder = DatasetBuilder(str(folder), Convention(cornered=True), fixable=False)
    known = list(names) if names is not None else _class_names(root, builder.problems)
    labels: list[int] = []
    if split == "train":
        wnids = sub_folders(folder)
        builder.problems += [f"{folder}: {problem}" for problem in class_mismatch(wnids, known)]
        for wnid in wnids:
            labels += _read_part(folder / wnid / "images", folder / wnid / f"{wnid}_boxes.txt", wnid, known, builder)
    else:
        table = folder / "val_annotations.txt" if split == "val" else None
        labels += _read_part(folder / "images", table, "", known, builder)
    return localized_images(builder.build(known, range(1, len(known) + 1)), labels)


def _class_names(root: Path, problems: list[str]) -> list[str]:
    if (root / "train").is_dir():
        return sub_folders(root / "train")
    try:
        return sorted(read_text(root / "wnids.txt").split())
    except (OSError, UnicodeDecodeError):
        problems.append(f"{root}: its class names are unknown: there is neither a train folder nor a wnids.txt")
        return []


def _read_part(images: Path, table: Path | None, wnid: str, names: list[str], builder: DatasetBuilder) -> list[int]:
    """Add the images of one folder with the boxes of its table; return their labels.

    ``wnid`` is the class of all images; when it is "", each line of the table names the class.
    """
    problems = builder.problems
    lines = _read_lines(table, wnid, problems) if table else {}
    try:
        files = sorted(entry.name for entry in os.scandir(images) if is_image_name(entry.name))
    except OSError as error:
        problems.append(f"{images}: cannot be read: {error.strerror}")
        return []
    problems += counted(f"{table}: lines without an image in {images}", sorted(lines.keys() - set(files)))
    if table and not wnid:
        problems += counted(f"{table}: images of {images} without a line", [name for name in files if name not in lines])
        problems += [f"{table}: {problem}" for problem in class_mismatch(sorted({line.wnid for line in lines.values()}), names)]
    labels = []
    for name in files:
        line = lines.get(name)
        used = wnid or (line.wnid if line else "")
        # names that are unknown have been reported already
        label = (names.index(used) if used in names else 0) if table else UNLABELLED
        labels.append(label)
        image = builder.add_image(str(images), images, name, builder.image_count + 1, *_size(images / name, problems))
        if line:
            xmin, ymin, xmax, ymax = line.corners
            box = (xmin, ymin, xmax - xmin + 1, ymax - ymin + 1)
            builder.add_object(line.where, image, label, box, builder.object_count + 1)
    return labels


def _read_lines(table: Path, wnid: str, problems: list[str]) -> dict[str, _Line]:
    """File name -> line of a table, whose second field is the class where ``wnid`` is "" ."""
    try:
        text = read_text(table)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{table}: cannot be read: {error}")
        return {}
    lines: dict[str, _Line] = {}
    layout = "file xmin ymin xmax ymax" if wnid else "file wnid xmin ymin xmax ymax"
    for number, row in enumerate(text.splitlines(), 1):
        fields = row.split()
        where = f"{table}: line {number}"
        try:
            corners = tuple(map(float, fields[-4:]))
        except ValueError:
            corners = ()
        if not fields:
            continue
        if len(fields) != len(layout.split()) or not corners:
            problems.append(f"{where}: must be {layout!r}, got {row!r:.80}")
        elif fields[0] in lines:
            problems.append(f"{where}: {fields[0]} has a line already")
        else:
            lines[fields[0]] = _Line(where, wnid or fields[1], corners)
    return lines


def _size(path: Path, problems: list[str]) -> tuple[int, int]:
    try:
        return read_size(path)
    except DataError as error:
        problems += error.problems
        return 2**31, 2**31
