"""Object detection sets of Hugging Face's ``datasets``: metadata.jsonl, a line for each image with its ``objects``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Picture, Shape, bounded, dataset_of, expecting, text
from resdet.data.formats.json_lines import json_lines

_CLASSES = ("categories", "category", "labels", "label", "category_id", "class")
_BOXES = ("bbox", "bboxes", "boxes")


def read_hf_objects(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read a metadata.jsonl.

    A line is an object with ``file_name`` and ``objects``: either columns, ``{"bbox": [[x, y, width, height], …], "categories":
    […]}``, or a list of such objects. Boxes are in continuous pixels. Classes are names or numbers, which are their own names.

    Args:
        root: the folder below which the images lie.
        annotations: the file, UTF-8.
        names: class names in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the file and its images, by line.
    """
    path = Path(annotations)
    builder = DatasetBuilder(str(path))
    return dataset_of(_pictures(bounded(path), builder), root, names, builder)


def _pictures(path: Path, builder: DatasetBuilder) -> Iterator[Picture]:
    for where, entry in json_lines(path, builder.problems):
        with expecting("a line of an object detection set", where, builder):
            size = int(entry.get("height") or 0), int(entry.get("width") or 0)
            shapes = [
                Shape(f"{where}: object {place}", text(name), box)
                for place, (name, box) in enumerate(_objects(entry["objects"]), 1)
            ]
            yield Picture(where, text(entry["file_name"]), shapes, size)


def _objects(objects: Any) -> Iterator[tuple[Any, tuple[float, float, float, float]]]:
    """The class and the box of each object."""
    if isinstance(objects, list):
        objects = {key: [item[key] for item in objects] for key in (objects[0] if objects else ())}
    if not objects:
        return
    boxes = next((objects[key] for key in _BOXES if key in objects), None)
    names = next((objects[key] for key in _CLASSES if key in objects), None)
    if boxes is None or names is None:
        raise ValueError(f"objects must have 'bbox' and 'categories', got {', '.join(map(repr, objects)):.80}")
    if len(boxes) != len(names):
        raise ValueError(f"objects must have as many classes as boxes, got {len(names)} and {len(boxes)}")
    for name, (x, y, width, height) in zip(names, boxes, strict=True):
        yield name, (float(x), float(y), float(width), float(height))
