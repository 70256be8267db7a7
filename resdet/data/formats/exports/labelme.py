"""labelme's JSON files, one beside each image."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Box, Picture, Shape, bounded, dataset_of, expecting, text
from resdet.data.formats.exports.shapes import around
from resdet.data.formats.nearest import NearestImages, files_below
from resdet.errors import DataError
from resdet.files import read_json

_NO_AREA = ("point", "points", "line", "linestrip")


def read_labelme(root: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read every labelme file below a folder.

    An image is the one that its file names by ``imagePath``, or, where that is not there, the nearest of the file's own name.
    Polygons, circles and masks are read as the boxes around them, points and lines are left out, each with a counted warning.
    Image ids are 1 … M in the order of the files' paths.

    Args:
        root: the folder of JSON files and images, at any depth.
        names: class names in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the files.
    """
    builder = DatasetBuilder(str(root))
    return dataset_of(_pictures(Path(root), builder), root, names, builder)


def _pictures(root: Path, builder: DatasetBuilder) -> Iterator[Picture]:
    files = files_below(root)
    images = NearestImages(files)
    known, used = set(images.paths), set[str]()
    for name in (name for name in files if name.lower().endswith(".json")):
        try:
            content = read_json(bounded(root / name), _without_pixels)
        except DataError as error:
            builder.problems += error.problems
            continue
        where = str(root / name)
        if not isinstance(content, dict) or "shapes" not in content:
            builder.note("json files are left out, for they have no 'shapes' as labelme's do", where)
            continue
        with expecting("a file of labelme", where, builder):
            size = int(content.get("imageHeight") or 0), int(content.get("imageWidth") or 0)
            shapes = [
                shape
                for number, item in enumerate(content["shapes"], 1)
                if (shape := _shape(item, f"{where}: shape {number}", builder))
            ]
            written = str(content.get("imagePath") or "").replace("\\", "/")
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), written))
            image = next((path for path in (beside, *images.of(name)) if path in known), beside)
            if image != beside:
                builder.note("files belong to the image of their own name, for that of 'imagePath' is not there", where)
            used.add(image)
            yield Picture(where, image, shapes, size)
    for image in images.paths:
        if image not in used:
            builder.note("images without a json file are left out", image)


def _without_pixels(entry: dict[str, Any]) -> dict[str, Any]:
    """Drop the image that labelme may write into its file, and masks: only boxes are used."""
    entry.pop("imageData", None)
    entry.pop("mask", None)
    return entry


def _shape(item: dict[str, Any], where: str, builder: DatasetBuilder) -> Shape | None:
    kind = item.get("shape_type") or "polygon"  # old versions had nothing else
    if kind in _NO_AREA:
        builder.note(f"shapes of type {kind!r} are left out, for they are no boxes", where)
        return None
    if kind not in ("rectangle", "polygon", "circle", "mask", "oriented_rectangle", "rotation"):
        raise ValueError(f"{kind!r:.40} is no type of shape that is known")
    if kind != "rectangle":
        builder.note(f"shapes of type {kind!r} are read as the boxes around them", where)
    return Shape(where, text(item["label"]), _circle(item["points"]) if kind == "circle" else around(item["points"]))


def _circle(points: Sequence[Sequence[float]]) -> Box:
    """The box around a circle by its centre and a point of its rim."""
    (x, y), rim = points
    radius = math.dist((x, y), rim)
    return x - radius, y - radius, 2 * radius, 2 * radius
