"""Boxes in a CSV table: Pascal-style, as Roboflow and many scripts write it, and Open Images'."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Picture, Shape, bounded, dataset_of
from resdet.data.formats.table import read_csv
from resdet.errors import DataError
from resdet.files import regular

_IMAGE = ("filename", "file_name", "imageid", "image_id", "image", "image_name", "path", "image_path", "file")
_CLASS = ("class", "labelname", "label", "label_name", "class_name", "category", "name")
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"))
_KNOWN = "filename,width,height,class,xmin,ymin,xmax,ymax, or Open Images' ImageID,LabelName,XMin,XMax,YMin,YMax"


def read_table(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read a table with a line for each box, whose first line names the columns.

    Needed are an image, a class and the corners, in any order; width and height of the image are used where they are there, and
    other columns are left alone. Corners are continuous pixels, from 0 at the left edge of the first pixel; with Open Images'
    columns they are fractions of the sides, ``IsGroupOf`` marks a crowd, and a ``class-descriptions…csv`` beside the table
    names the classes. A line with an image and nothing else is an image without objects.

    Args:
        root: the folder below which the images lie; they are found by name with or without suffix.
        annotations: the table, UTF-8.
        names: class names in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the table and its images, by line.
    """
    path = Path(annotations)
    builder = DatasetBuilder(str(path))
    header = _header(bounded(path))
    image, name, corners = _columns(path, header)
    size = [header[key] for key in ("height", "width") if key in header]
    fractions = "XMin" in header.values()
    group = [header["isgroupof"]] if fractions and "isgroupof" in header else []
    called = _descriptions(path) if fractions else {}
    pictures: dict[str, Picture] = {}
    wanted = [image, name, *corners, *group, *(size if len(size) == 2 else [])]
    for line, (file, label, *fields) in read_csv(path, wanted, builder.problems):
        where = f"{path}: line {line}"
        try:
            box = _box(fields[:4])
            sides = fields[4 + len(group) :]
            height, width = (int(float(side or 0)) for side in sides) if sides else (0, 0)
        except (ValueError, OverflowError):
            builder.problems.append(f"{where}: {','.join(wanted[2:])} must be numbers, got {','.join(fields):.80}")
            continue
        if not file or (box and not label):
            builder.problems.append(f"{where}: {name if file else image} must not be empty")
            continue
        picture = pictures.setdefault(file, Picture(where, file, [], (height, width), fractions))
        if box:
            crowd = bool(group) and fields[4] == "1"
            picture.shapes.append(Shape(where, called.get(label, label), box, crowd))
    return dataset_of(pictures.values(), root, names, builder)


def _header(path: Path) -> dict[str, str]:
    """The names of the columns by their names in lower case."""
    try:
        with regular(path).open(encoding="utf-8-sig", newline="") as file:
            return {name.strip().lower(): name.strip() for name in next(csv.reader(file), [])}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not CSV: {error}") from error


def _columns(path: Path, header: dict[str, str]) -> tuple[str, str, list[str]]:
    """The columns of the image, of the class, and of left, top, right and bottom."""
    image = next((header[key] for key in _IMAGE if key in header), None)
    name = next((header[key] for key in _CLASS if key in header), None)
    corners = next(([header[key] for key in keys] for keys in _CORNERS if header.keys() >= set(keys)), None)
    if image is None or name is None or corners is None:
        raise DataError(f"{path}: its first line must name columns like {_KNOWN}; got {','.join(header.values())!r:.200}")
    return image, name, corners


def _box(fields: Sequence[str]) -> tuple[float, float, float, float] | None:
    """The box of its corners; None where all four are empty."""
    if not any(fields):
        return None
    left, top, right, bottom = map(float, fields)
    return left, top, right - left, bottom - top


def _descriptions(path: Path) -> dict[str, str]:
    """Open Images' names of its classes ("/m/01g317" is "Person"), where their file lies beside the table."""
    for found in sorted(path.parent.glob("*class-descriptions*.csv")):
        try:
            with regular(bounded(found)).open(encoding="utf-8-sig", newline="") as file:
                return {row[0].strip(): row[1].strip() for row in csv.reader(file) if len(row) == 2}
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{found}: is not CSV that can be read: {error}") from error
    return {}
