"""VGG Image Annotator's JSON: an export of annotations, or a project (versions 1 and 2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Box, Picture, Shape, bounded, dataset_of, expecting, text
from resdet.data.formats.exports.shapes import around, around_ellipse
from resdet.errors import DataError
from resdet.files import read_json

_USUAL = ("class", "label", "name", "type", "category", "object")
_NO_AREA = ("point", "polyline", "line")
UNNAMED = "object"  # the class of regions without any attribute


def read_via(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read VIA's JSON.

    A region's class is its only attribute, or the one called class, label, name, type, category or object; a set of regions
    without attributes has the one class "object". Polygons, circles and ellipses are read as the boxes around them, points and
    lines are left out, each with a counted warning.

    Args:
        root: the folder below which the images lie.
        annotations: the JSON file.
        names: class names in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the file and its images; also for a project of version 3, which is of another kind.
    """
    path = Path(annotations)
    content = read_json(bounded(path))
    builder = DatasetBuilder(str(path))
    if isinstance(content, dict) and {"file", "metadata"} <= content.keys():
        raise DataError(f"{path}: is a project of VIA 3; export it as COCO, which VIA 3 can, and read that")
    images = content.get("_via_img_metadata", content) if isinstance(content, dict) else content
    if not isinstance(images, dict):
        raise DataError(f"{path}: must be an object with an entry for each image, got {type(images).__name__}")
    return dataset_of(_pictures(images, builder), root, names, builder)


def _pictures(images: dict[str, Any], builder: DatasetBuilder) -> Iterator[Picture]:
    for key, entry in images.items():
        where = f"{builder.source}: {key!r:.80}"
        with expecting("an image of VIA", where, builder):
            regions = entry["regions"]
            listed = list(regions.values()) if isinstance(regions, dict) else regions  # a mapping in version 1
            shapes = [
                shape for number, item in enumerate(listed, 1) if (shape := _shape(item, f"{where}: region {number}", builder))
            ]
            yield Picture(where, text(entry["filename"]), shapes)


def _shape(item: dict[str, Any], where: str, builder: DatasetBuilder) -> Shape | None:
    shape = item["shape_attributes"]
    kind = shape["name"]
    if kind in _NO_AREA:
        builder.note(f"regions of shape {kind!r} are left out, for they are no boxes", where)
        return None
    if kind != "rect":
        builder.note(f"regions of shape {kind!r} are read as the boxes around them", where)
    return Shape(where, _class(item.get("region_attributes") or {}, where, builder), _box(shape, kind))


def _class(attributes: dict[str, Any], where: str, builder: DatasetBuilder) -> str:
    given = {key: value for key, value in attributes.items() if value not in ("", {}, None)}
    if not attributes:
        builder.note(f"regions have no attribute, so that their class is {UNNAMED!r}", where)
        return UNNAMED
    usual = [key for key in given if key.lower() in _USUAL]
    if len(given) != 1 and len(usual) != 1:
        raise ValueError(f"which attribute is the class? It has {', '.join(map(repr, given)) or 'none that is filled in'}")
    value = given[usual[0] if len(usual) == 1 else next(iter(given))]
    if isinstance(value, dict):  # boxes to tick: {"cat": true}
        chosen = [key for key, ticked in value.items() if ticked]
        if len(chosen) != 1:
            raise ValueError(f"must have one class, got {chosen!r:.60}")
        value = chosen[0]
    return text(value)


def _box(shape: dict[str, Any], kind: str) -> Box:
    def number(key: str) -> float:
        return float(shape[key])

    if kind == "rect":
        return number("x"), number("y"), number("width"), number("height")
    if kind == "circle":
        return around_ellipse(number("cx"), number("cy"), number("r"), number("r"))
    if kind == "ellipse":
        return around_ellipse(
            number("cx"), number("cy"), number("rx"), number("ry"), math.degrees(float(shape.get("theta") or 0))
        )
    if kind == "polygon":
        return around(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
    raise ValueError(f"{kind!r:.40} is no shape that is known")
