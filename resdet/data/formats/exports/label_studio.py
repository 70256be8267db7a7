"""Label Studio's JSON export, and its JSON_MIN: tasks whose results are shapes in hundredths of the image's sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Box, Picture, Shape, bounded, dataset_of, expecting, text
from resdet.data.formats.exports.shapes import around, around_ellipse, around_turned
from resdet.data.formats.file_names import is_image_name
from resdet.errors import DataError
from resdet.files import read_json

# the key of a result's classes, by the kind of its shape
_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")


def read_label_studio(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read Label Studio's export.

    Rectangles, ellipses and polygons are read, turned or not, as the boxes around them. Of several annotations of a task the
    first is used that was not cancelled. Tasks that nobody has annotated are left out. All of this is counted in warnings.

    Args:
        root: the folder below which the images lie; names are looked up there without the path and the digits of an upload.
        annotations: the JSON or JSON_MIN file.
        names: class names in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the file and its images.
    """
    path = Path(annotations)
    builder = DatasetBuilder(str(path))
    tasks = read_json(bounded(path))
    if not isinstance(tasks, list):
        raise DataError(f"{path}: must be a list of tasks, got {type(tasks).__name__}")
    return dataset_of(_pictures(tasks, builder), root, names, builder)


def _pictures(tasks: list[Any], builder: DatasetBuilder) -> Iterator[Picture]:
    for place, task in enumerate(tasks, 1):
        where = f"{builder.source}: task {place}"
        with expecting("a task of Label Studio", where, builder):
            where = f"{builder.source}: task id {task['id']}" if "id" in task else where
            results = _results(task, where, builder)
            if results is None:
                continue
            sizes = [(item["original_height"], item["original_width"]) for item in results if "original_width" in item]
            height, width = map(int, sizes[0] if sizes else (0, 0))
            named = {item["id"] for item in results if "id" in item and _classes(item["value"])}
            shapes = [
                shape
                for number, item in enumerate(results, 1)
                # a shape whose class was chosen in a second step is there twice, once without
                if (_classes(item["value"]) or item.get("id") not in named)
                and (shape := _shape(item, f"{where}: result {number}", (height or 1, width or 1), builder))
            ]
            image = _image(task.get("data", task))
            yield Picture(where, image, shapes, (height, width), fractions=not (height and width))


def _results(task: dict[str, Any], where: str, builder: DatasetBuilder) -> list[dict[str, Any]] | None:
    """The results of a task in the form of the JSON export; None where nobody has annotated it."""
    if "data" not in task:  # JSON_MIN: the values of shapes are lists of the task itself
        return [
            {**item, "value": item}
            for value in task.values()
            if isinstance(value, list)
            for item in value
            if "x" in item or "points" in item
        ]
    given = [each for each in task.get("annotations", task.get("completions", [])) if not each.get("was_cancelled")]
    if not given:
        builder.note("tasks have no annotation and are left out", where)
        return None
    if len(given) > 1:
        builder.note("tasks have several annotations, of which the first is used", where)
    return [item for item in given[0]["result"] if item.get("type") != "relation"]  # which joins two of the others


def _image(data: dict[str, Any]) -> str:
    """The file or URL of a task: the value that is called by an image's name, or the one called "image"."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = [value for value in texts.values() if is_image_name(value.partition("?")[0] or value) or is_image_name(value)]
    return text(texts["image"] if "image" in texts or len(named) != 1 else named[0])


def _shape(item: dict[str, Any], where: str, size: tuple[int, int], builder: DatasetBuilder) -> Shape | None:
    value = item["value"]
    classes = _classes(value)
    if item.get("type") == "keypointlabels" or not {"width", "radiusX", "points"} & value.keys():
        if item.get("type") not in ("choices", "textarea", "rating", "taxonomy", "number"):  # those tell of the whole image
            builder.note(f"results of type {item.get('type', '?')!r:.40} are left out, for they are no shapes", where)
        return None
    if float(item.get("image_rotation") or 0) % 360:
        raise ValueError(f"image_rotation must be 0, got {item['image_rotation']!r:.20}")
    if not isinstance(classes, list):
        raise ValueError("a shape without a class")
    if len(classes) > 1:
        builder.note("shapes have several classes, of which the first is used", where)
    return Shape(where, text(classes[0]), _box(value, size, where, builder))


def _classes(value: dict[str, Any]) -> Any:
    """The classes of a result's value; None where it has none."""
    return next((value[key] for key in _LABELS if value.get(key)), None)


def _box(value: dict[str, Any], size: tuple[int, int], where: str, builder: DatasetBuilder) -> Box:
    """The box of a shape in units of ``size`` (height, width), of a value in hundredths."""
    height, width = size[0] / 100, size[1] / 100
    if "points" in value:
        builder.note("polygons are read as the boxes around them", where)
        return around((x * width, y * height) for x, y in value["points"])
    x, y, turn = float(value["x"]) * width, float(value["y"]) * height, float(value.get("rotation") or 0)
    if "radiusX" in value:
        builder.note("ellipses are read as the boxes around them", where)
        return around_ellipse(x, y, float(value["radiusX"]) * width, float(value["radiusY"]) * height, turn)
    box = (x, y, float(value["width"]) * width, float(value["height"]) * height)
    if not turn % 360:
        return box
    builder.note("turned boxes are read as the upright boxes around them", where)
    return around_turned(box, turn, (x, y))
