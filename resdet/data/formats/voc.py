"""Pascal VOC's folders: image sets, XML files and JPEG images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePath
from xml.etree.ElementTree import Element

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.voc_xml import add_objects, known_names, parse_xml, read_image_set, read_size_element, text_of
from resdet.errors import DataError
from resdet.images import read_size

IMAGES = "JPEGImages"


def read_voc(
    root: str | Path, split: str, names: Sequence[str] | None = None, *, keep_difficult: bool = False
) -> DetectionDataset:
    """Read one image set of a VOC folder.

    An image is ``JPEGImages/<name>.jpg``, or, where that is missing, the same with the suffix of its xml's ``filename``. Image
    ids are 1 … M in the order of the image set; category ids are label + 1. A set of which no image has an xml, as VOC
    publishes its test images, is read without objects, with a warning.

    Args:
        root: the folder that holds Annotations, ImageSets and JPEGImages.
        split: a name under ImageSets/Main, without ``.txt``.
        names: class names in label order; those found, sorted, when not given.
        keep_difficult: train on objects marked difficult; otherwise they are ignored. The mark itself stays, for evaluation.

    Raises:
        DataError: with every problem of the files: a missing list or xml, broken XML, missing or mistyped elements, images
            listed twice, boxes that are not finite, reversed or outside, unsafe or missing image files, unknown classes.
    """
    root = Path(root)
    annotations = root / "Annotations"
    builder = DatasetBuilder(str(root / "ImageSets" / "Main" / f"{split}.txt"))

    def annotated(key: str) -> bool:
        return os.path.isfile(annotations / f"{key}.xml")  # noqa: PTH113  # False, not an error, for a name too long

    keys = read_image_set(Path(builder.source), annotated, builder.problems)
    if keys and not any(map(annotated, keys)):
        return _read_unannotated(root, keys, names, builder)
    paths = {key: annotations / f"{key}.xml" for key in keys}
    trees = {path: parse_xml(path, builder.problems) for path in paths.values()}
    names = known_names(builder.source, trees, names, builder.problems)
    for key, path in paths.items():
        if (tree := trees[path]) is not None:
            size = read_size_element(tree, path, builder.problems)
            image = builder.add_image(str(path), root / IMAGES, _file_name(root, key, tree), builder.image_count + 1, *size)
            add_objects(tree, path, image, builder, names, first_pixel=1, keep_difficult=keep_difficult)
    return builder.build(names, range(1, len(names) + 1))


def _read_unannotated(
    root: Path, keys: Sequence[str], names: Sequence[str] | None, builder: DatasetBuilder
) -> DetectionDataset:
    if names is None:
        raise DataError(
            f"{builder.source}: no image of it has an xml under {root / 'Annotations'}, so its classes are not known"
        )
    warnings.warn(
        f"{builder.source}: no image of it has an xml: they can be detected on, not trained on or scored", stacklevel=3
    )
    for number, key in enumerate(keys, start=1):
        name = f"{key}.jpg"
        try:
            size = read_size(root / IMAGES / name)
        except DataError as error:
            builder.problems += error.problems
        else:
            builder.add_image(builder.source, root / IMAGES, name, number, *size)
    return builder.build(names, range(1, len(names) + 1))


def image_name(path: Path) -> str:
    """The name by which image sets and results files call an image file: its path in JPEGImages without the suffix."""
    parts = path.with_suffix("").parts
    folders = [index for index, part in enumerate(parts[:-1]) if part == IMAGES]
    return "/".join(parts[folders[-1] + 1 if folders else -1 :])


def image_names(dataset: DetectionDataset) -> dict[int, str]:
    """``image_name`` of every image, by its id."""
    return {key: image_name(dataset.path(index)) for index, key in enumerate(dataset.image_ids)}


def _file_name(root: Path, key: str, tree: Element) -> str:
    # the name in the list and not the filename, which renaming and copying leave behind, says which image it is
    suffix = ".jpg" if (root / IMAGES / f"{key}.jpg").is_file() else PurePath(text_of(tree, "filename")).suffix or ".jpg"
    return f"{key}{suffix}"
