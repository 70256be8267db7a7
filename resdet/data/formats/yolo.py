"""Reads YOLO's text files: one file for each image, one line for each object, in fractions of the image's sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resdet.data.convention import Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.data.formats.yolo_images import every_image, images_of_split, label_file, label_path
from resdet.data.formats.yolo_lines import LineReader, read_lines
from resdet.data.formats.yolo_names import DESCRIPTION, SPLITS, class_names, read_description
from resdet.errors import DataError
from resdet.images import read_size

__all__ = ["DESCRIPTION", "SPLITS", "label_path", "read_yolo"]


def read_yolo(
    root: str | Path, split: str = "", names: Sequence[str] | None = None, description: str | Path | None = None
) -> DetectionDataset:
    """Read one split of a YOLO folder, or every labelled image below it.

    The images of a split are those below ``images/<split>``, ``<split>/images`` or ``<split>``, or where the yaml's entry of
    the split says: a folder, a text file of paths, or a list of these, relative to the yaml's ``path`` where that lies below
    ``root``, else to ``root`` (paths in a text file to its folder); a leading ``../``, which some exports write, is dropped. An
    image's label file has the same path with ``labels`` for the last folder called ``images``, and the suffix ``.txt``, or lies
    beside it. Its lines are ``class x y width height``: an index into the yaml's ``names``, and the centre and size of the box
    as fractions of the image's sides; polygons and turned boxes are read as the boxes around them. Without a label file an
    image has no objects. Sizes come from the images' headers, upright by EXIF. Image ids are 1 … M by path, or in the order of
    a text file; category ids are label + 1. What was read although it is unusual is counted in a warning.

    Args:
        root: the data set's folder.
        split: train, val or test; "" for all images with labels below ``root``.
        names: class names in label order, to which those of the files are mapped; the files' own when not given. Classes that
            no file names are called by their numbers.
        description: the yaml, Darknet's obj.data or a list of class names, when it is not in ``root`` under its usual name.

    Raises:
        DataError: with every problem of the files: a broken yaml, missing folders and images, images that share a label file,
            label files without an image, broken lines, boxes that are not finite, negative or outside, unknown classes.
    """
    root = Path(root)
    source, content = read_description(root, None if description is None else Path(description))
    builder = DatasetBuilder(str(source), Convention.of("yolo"))
    named = source != root
    found = class_names(content.get("names"), source, builder.problems) if named else list(names or ())
    everywhere = {} if split else every_image(root, builder)
    images = images_of_split(root, source, content, split, builder) if split else list(everywhere)
    # where the names are wrong, that is the one mistake, and not every line
    reader = LineReader(len(found) or None, _keypoints(content.get("kpt_shape")), builder)
    labels = _labels(found, names, builder)
    label_files: dict[Path, str] = {}
    for image in images:
        file = root / everywhere[image] if everywhere.get(image) else label_file(root, image, builder)
        if file in label_files:
            builder.problems.append(f"{root / image}: its label file {file} is that of {label_files[file]} too")
        label_files[file] = image
        _read_image(root, image, file, labels, reader)
    builder.problems += reader.problems()
    if not found and not builder.problems:
        found = [str(index) for index in range(reader.highest + 1)]
        builder.note("classes are called by their numbers: no data.yaml or classes.txt names them", str(root))
    names = found if names is None else list(names)
    return builder.build(names, range(1, len(names) + 1))


def _labels(found: Sequence[str], names: Sequence[str] | None, builder: DatasetBuilder) -> list[int] | range:
    """The label of each class index of the files."""
    if not found:
        return range(1 << 31)
    if names is None:
        return list(range(len(found)))
    builder.problems += [f"{builder.source}: {problem}" for problem in class_mismatch(found, names)]
    return [names.index(name) if name in names else 0 for name in found]


def _keypoints(shape: Any) -> int:
    """How many numbers of a line are keypoints, by a yaml's ``kpt_shape``: how many points, and how many numbers each."""
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(number, int) and number > 0 for number in shape):
        return int(shape[0]) * int(shape[1])
    return 0


def _read_image(root: Path, image: str, file: Path, labels: Sequence[int], reader: LineReader) -> None:
    builder = reader.builder
    try:
        height, width = read_size(root / image)
    except DataError as error:
        builder.problems += error.problems
        return
    index = builder.add_image(builder.source, root, image, builder.image_count + 1, height, width)
    for number, line in enumerate(read_lines(file, builder.problems), 1):
        where = f"{file}: line {number}"
        if line.strip() and (found := reader.read(line, where)):
            label, (x, y, w, h) = found
            box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
            builder.add_object(where, index, labels[label], box, builder.object_count + 1)
