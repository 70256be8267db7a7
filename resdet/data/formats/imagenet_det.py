"""ImageNet's detection task (ILSVRC DET): image sets, XML files with wnids, images in folders of train, val and test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from resdet.data.convention import Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.voc_xml import add_objects, known_names, parse_xml, read_image_set, read_size_element
from resdet.errors import DataError
from resdet.images import read_size

_FOLDERS = ("train", "val", "test", "")


def read_imagenet_det(root: str | Path, split: str, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read one image set of ILSVRC DET.

    A line of the set is a path without suffix and a number, which says nothing here (the image's number, or 1, 0, -1 for an
    image with, with some, without objects of a class). The path starts from ``Data/DET/train``, ``val``, ``test`` or
    ``Data/DET``, the first of them that holds the image; ``Annotations/DET`` has the same folders. An image of train without an
    XML file has no objects: those are the images that the lists of negatives name. Elsewhere a missing XML file is a problem.
    Coordinates count from 0 and include the last pixel. Image ids are 1 … M in the order of the set; category ids are
    label + 1.

    Args:
        root: the folder that holds Annotations, Data and ImageSets.
        split: a name under ImageSets/DET, without ``.txt``: train_1, val, or a set of your own, for instance val1.
        names: wnids in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the files, as ``read_voc``.
    """
    root = Path(root)
    builder = DatasetBuilder(str(root / "ImageSets" / "DET" / f"{split}.txt"), Convention.of("imagenet_det"))
    listed = read_image_set(Path(builder.source), lambda _: False, builder.problems)
    places = {name: _place(root, name) for name in listed}
    builder.problems += [
        f"{builder.source}: image {name!r} is not below {root / 'Data' / 'DET'}" for name, place in places.items() if not place
    ]
    paths = {place: root / "Annotations" / "DET" / f"{place}.xml" for place in places.values() if place}
    trees = {
        path: parse_xml(path, builder.problems) for place, path in paths.items() if path.is_file() or not _may_be_bare(place)
    }
    names = known_names(builder.source, trees, names, builder.problems)
    for place, path in paths.items():
        if path not in trees:
            _add_bare_image(root, place, builder)
        elif (tree := trees[path]) is not None:
            image = _add_image(root, place, str(path), builder, read_size_element(tree, path, builder.problems))
            add_objects(tree, path, image, builder, names, first_pixel=0)
    return builder.build(names, range(1, len(names) + 1))


def _place(root: Path, name: str) -> str:
    """The path in Data/DET of a listed image, without suffix; "" where no folder has it."""
    places = (f"{folder}/{name}".lstrip("/") for folder in _FOLDERS)
    # os.path.isfile is False, not an error, for a name too long
    found = (place for place in places if os.path.isfile(root / "Data" / "DET" / f"{place}.JPEG"))  # noqa: PTH113
    return next(found, "")


def _may_be_bare(place: str) -> bool:
    return place.startswith("train/")


def _add_bare_image(root: Path, name: str, builder: DatasetBuilder) -> None:
    """Add an image without an XML file, whose header must say its size."""
    try:
        size = read_size(root / "Data" / "DET" / f"{name}.JPEG")
    except DataError as error:
        builder.problems += error.problems
    else:
        _add_image(root, name, builder.source, builder, size)


def _add_image(root: Path, name: str, where: str, builder: DatasetBuilder, size: tuple[int, int]) -> int:
    return builder.add_image(where, root / "Data" / "DET", f"{name}.JPEG", builder.image_count + 1, *size)
