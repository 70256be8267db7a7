"""Pascal VOC: ``Annotations/*.xml``, ``ImageSets/Main/<split>.txt`` and the images in ``JPEGImages``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from resdet.data.convert.written import Written, counted, lost_numbers, new_file, shared_stems
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import ROUNDING
from resdet.data.formats.voc import IMAGES
from resdet.errors import DataError

# the characters that XML 1.0 can hold, without line ends, because reading XML changes those
_CHARACTERS = r"\t\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF"
_SPELLABLE, _UNSPELLABLE = re.compile(f"[{_CHARACTERS}]+"), re.compile(f"[^{_CHARACTERS}]")


def write_voc(dataset: DetectionDataset, folder: Path, split: str, names: Sequence[str]) -> Written:
    """Write one XML file for each image.

    Boxes become whole pixels counted from 1, first and last included. Their sides are rounded to the nearest edge, and a box
    with an area is at least one pixel wide. Crowds become difficult objects: VOC's evaluation ignores those, as COCO's ignores
    crowds. Images in folders are called ``folder_name``. VOC cannot hold the order of the classes, nor classes without objects.

    Raises:
        DataError: when the files cannot hold the name of an image or a class, or two images have the same name.
    """
    files = [name.replace("/", "_") for name in names]
    problems = shared_stems(files)
    problems += [f"image {name!r}: VOC's lists cannot hold this name" for name in names if not _fits(name)]
    problems += [f"class {name!r}: VOC's files cannot hold this name" for name in dataset.names if not _fits(name)]
    if problems:
        raise DataError(problems)
    keys = [str(PurePosixPath(file).with_suffix("")) for file in files]
    (folder / "Annotations").mkdir(parents=True)
    for index, (key, file) in enumerate(zip(keys, files, strict=True)):
        _annotation(dataset, index, file).write(new_file(folder / "Annotations" / f"{key}.xml"), encoding="utf-8")
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / f"{split}.txt").write_text("".join(f"{key}\n" for key in keys), encoding="utf-8", newline="\n")
    return Written([f"{IMAGES}/{file}" for file in files], _lost(dataset))


def _fits(name: str) -> bool:
    return name == name.strip() and len(name.splitlines()) == 1 and _SPELLABLE.fullmatch(name) is not None


def _annotation(dataset: DetectionDataset, index: int, file: str) -> ET.ElementTree[ET.Element]:
    height, width = dataset.size(index)
    rows = range(dataset.offsets[index], dataset.offsets[index + 1])
    objects = [
        {
            "name": dataset.names[dataset.labels[row]],
            "difficult": int(dataset.difficult[row] or dataset.crowd[row]),
            "box": dataset.boxes[row].tolist(),
        }
        for row in rows
    ]
    return annotation_tree(file, (width, height), objects)


def annotation_tree(file: str, size: tuple[int, int], objects: Sequence[Mapping[str, Any]]) -> ET.ElementTree[ET.Element]:
    """VOC's XML of an image; characters that XML cannot hold are spelled, as Python writes them.

    Args:
        file: the name of the image file.
        size: its (width, height), pixels.
        objects: for each its "box" ``x, y, width, height`` in continuous pixels, which becomes whole ones, and its other
            elements by name, "name" and "difficult" among them.
    """
    root = ET.Element("annotation")
    _add(root, "folder", IMAGES)
    _add(root, "filename", file)
    parts = ET.SubElement(root, "size")
    for tag, value in (("width", size[0]), ("height", size[1]), ("depth", 3)):
        _add(parts, tag, value)
    for each in objects:
        item = ET.SubElement(root, "object")
        for tag, value in each.items():
            if tag != "box":
                _add(item, tag, value)
        box = ET.SubElement(item, "bndbox")
        for tag, corner in zip(("xmin", "ymin", "xmax", "ymax"), _pixels(each["box"], size), strict=True):
            _add(box, tag, corner)
    ET.indent(root)
    return ET.ElementTree(root)


def _add(parent: ET.Element, tag: str, value: object) -> None:
    ET.SubElement(parent, tag).text = _UNSPELLABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def _pixels(box: Sequence[float], size: tuple[int, int]) -> list[int]:
    """A box ``x, y, width, height`` in an image of (width, height) as ``xmin, ymin, xmax, ymax``, whole pixels from 1."""
    first, last = [], []
    for low, extent, side in zip(box[:2], box[2:], size, strict=True):
        begin, end = math.floor(low + 0.5), math.floor(low + extent + 0.5)
        if extent > 0 and begin == end:  # a box thinner than a pixel becomes the pixel that it lies in
            begin = math.floor(low)
            end = begin + 1
        if low < side < begin + 1:  # a sliver at the edge of the image stays in it
            begin, end = side - 1, max(end, side)
        elif end < 1 and low + extent > 0:
            begin, end = min(begin, 0), 1
        first.append(begin + 1)
        last.append(end)
    return [*first, *last]


def _lost(dataset: DetectionDataset) -> list[str]:
    corners = np.concatenate([dataset.boxes[:, :2], dataset.boxes[:, :2] + dataset.boxes[:, 2:]], axis=1)
    rounded = int((np.abs(corners - np.round(corners)) > ROUNDING).any(axis=1).sum())
    used = sorted({dataset.names[label] for label in dataset.labels.tolist()})
    lost = counted(int(dataset.crowd.sum()), "crowds became difficult objects")
    lost += counted(rounded, "boxes were rounded to whole pixels")
    if used != list(dataset.names):
        lost.append(f"the order of the classes is lost, or some have no object; to keep them: data.names={list(dataset.names)}")
    return lost + lost_numbers(dataset)
