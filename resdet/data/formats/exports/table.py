"""Boxes in a CSV table: Pascal-style, as Roboflow and many scripts write it, and Open Images'."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from resdet.data.convention import Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.finding import limits
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Picture, Shape, bounded, dataset_of
from resdet.data.formats.table import columns_of, delimiter_of, is_box_row, read_csv
from resdet.errors import DataError
from resdet.files import read_text

_IMAGE = ("filename", "file_name", "imageid", "image_id", "image", "image_name", "path", "image_path", "file")
_CLASS = ("class", "labelname", "label", "label_name", "class_name", "category", "name")
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"))
_SIDES = ("bbox_x", "bbox_y", "bbox_width", "bbox_height")  # left, top, width and height, as makesense.ai writes
# of keras-retinanet's tables, whose first line is a box or an image without one already
_UNNAMED = ("path", "xmin", "ymin", "xmax", "ymax", "class")
_KNOWN = (
    "filename,width,height,class,xmin,ymin,xmax,ymax, or with bbox_x,bbox_y,bbox_width,bbox_height (left, top, width, height), "
    "or Open Images' ImageID,LabelName,XMin,XMax,YMin,YMax"
)
_SLIPS = 2  # pixels that boxes leave their images by where nothing is meant
_NAME_THEM = (
    "name the columns in a first line, path,xmin,ymin,xmax,ymax,class or path,bbox_x,bbox_y,bbox_width,bbox_height,class"
)


def read_table(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read a table with a line for each box, whose first line names the columns, or else ``path,xmin,ymin,xmax,ymax,class``.

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
    text = _text(bounded(path))
    unnamed = _UNNAMED if is_box_row(columns_of(text)) else ()
    header = {name.lower(): name for name in unnamed or columns_of(text)}
    comma = delimiter_of(text) != ","
    image, name, corners = _columns(path, header)
    sides = corners[-1].lower() == _SIDES[-1]
    builder = DatasetBuilder(str(path), Convention() if sides else Convention.of("csv"))
    size = [header[key] for key in ("height", "width") if key in header]
    fractions = "XMin" in header.values()
    group = [header["isgroupof"]] if fractions and "isgroupof" in header else []
    called = _descriptions(path) if fractions else {}
    pictures: dict[str, Picture] = {}
    wanted = [image, name, *corners, *group, *(size if len(size) == 2 else [])]
    for line, (file, label, *fields) in read_csv(path, wanted, builder.problems, header=unnamed):
        where = f"{path}: line {line}"
        try:
            box = _box(fields[:4], comma, sides=sides)
            given = fields[4 + len(group) :]
            height, width = (int(_number(side or "0", comma)) for side in given) if given else (0, 0)
        except (ValueError, OverflowError):
            builder.problems.append(f"{where}: {','.join(wanted[2:])} must be numbers, got {','.join(fields):.80}")
            continue
        if not file or (box and not label):
            builder.problems.append(f"{where}: {name if file else image} must not be empty")
            continue
        if unnamed:
            builder.note(f"lines are read as {','.join(_UNNAMED)}, for no first line names the columns", where)
            if box and min(box[2:]) <= 0:
                raise DataError(f"{where}: {','.join(fields)} are no corners: {_NAME_THEM}")
        picture = pictures.setdefault(file, Picture(where, file, [], (height, width), fractions))
        if box:
            crowd = bool(group) and fields[4] == "1"
            picture.shapes.append(Shape(where, called.get(label, label), box, crowd))
    dataset = dataset_of(pictures.values(), root, names, builder)
    if unnamed and not _surely_corners(dataset):
        raise DataError(f"{path}: its numbers may be corners, or left, top, width and height: {_NAME_THEM}")
    return dataset


def _surely_corners(dataset: DetectionDataset) -> bool:
    """Whether some left and right, or top and bottom, add up to more than the image, as a corner and a size do not."""
    sums = 2 * dataset.boxes[:, :2] + dataset.boxes[:, 2:]
    return bool((sums > limits(dataset) + _SLIPS).any())


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not CSV: {error}") from error


def _columns(path: Path, header: dict[str, str]) -> tuple[str, str, list[str]]:
    """The columns of the image, of the class, and of left, top, right and bottom."""
    image = next((header[key] for key in _IMAGE if key in header), None)
    name = next((header[key] for key in _CLASS if key in header), None)
    corners = next(([header[key] for key in keys] for keys in (*_CORNERS, _SIDES) if header.keys() >= set(keys)), None)
    if image is None or name is None or corners is None:
        raise DataError(f"{path}: its first line must name columns like {_KNOWN}; got {','.join(header.values())!r:.200}")
    return image, name, corners


def _box(fields: Sequence[str], comma: bool, *, sides: bool) -> tuple[float, float, float, float] | None:
    """The box of its corners, or, where ``sides``, of its corner and size; None where all four are empty."""
    if not any(fields):
        return None
    left, top, right, bottom = (_number(field, comma) for field in fields)
    return (left, top, right, bottom) if sides else (left, top, right - left, bottom - top)


def _number(field: str, comma: bool) -> float:
    """The number of a field; ``comma``: one stands for the decimal point, where the columns have another separator."""
    return float(field.replace(",", ".") if comma else field)


def _descriptions(path: Path) -> dict[str, str]:
    """Open Images' names of its classes ("/m/01g317" is "Person"), where their file lies beside the table."""
    for found in sorted(path.parent.glob("*class-descriptions*.csv")):
        try:
            rows = csv.reader(io.StringIO(read_text(bounded(found)), newline=""))
            return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{found}: is not CSV that can be read: {error}") from error
    return {}
