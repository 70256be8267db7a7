"""Pascal VOC's folders: image sets, XML files and JPEG images; and the same XML files in folders of any layout."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple
from xml.etree.ElementTree import Element

from resdet.data.convention import Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.file_names import is_image_name, same_stem
from resdet.data.formats.nearest import NearestImages, files_below
from resdet.data.formats.voc_xml import add_objects, known_names, parse_xml, read_image_set, read_size_element, text_of
from resdet.errors import DataError
from resdet.images import read_size

IMAGES = "JPEGImages"


class _Entry(NamedTuple):
    """An XML file, its content, and its image's path from the data set's folder on."""

    path: Path
    tree: Element
    image: str


def read_voc(
    root: str | Path, split: str = "", names: Sequence[str] | None = None, *, keep_difficult: bool = False
) -> DetectionDataset:
    """Read one image set of a VOC folder, or every XML file below a folder.

    The image of a set's line is ``JPEGImages/<name>.jpg``, or, where that is missing, the same with the suffix of its xml's
    ``filename``, or the one image that differs in its suffix only. The image of an XML file without a set is the one of its
    name that lies nearest: beside it, or in a folder beside its own. Image ids are 1 … M in the order of the set, or of the
    paths; category ids are label + 1. A set of which no image has an xml, as VOC publishes its test images, is read without
    objects, with a warning. Where an xml has no size, or 0, it is that of the image's header. What was read although it is
    unusual is counted in a warning.

    Args:
        root: the folder that holds Annotations, ImageSets and JPEGImages; without a set, any folder of XML files and images.
        split: a name under ImageSets/Main, without ``.txt``; where there is none of this name, that of the folders whose XML
            files are read; "" for every XML file.
        names: class names in label order; those found, sorted, when not given.
        keep_difficult: train on objects marked difficult; otherwise they are ignored. The mark itself stays, for evaluation.

    Raises:
        DataError: with every problem of the files: a missing list or xml, broken XML, missing or mistyped elements, images
            listed twice, boxes that are not finite, reversed or outside, unsafe or missing image files, unknown classes.
    """
    root = Path(root)
    builder = DatasetBuilder(str(root / "ImageSets" / "Main" / f"{split}.txt") if split else str(root), Convention.of("voc"))
    in_folder = bool(split) and not Path(builder.source).is_file() and bool(xml_files(root, split))
    if split and not in_folder:
        keys = _listed(root, builder)
        if keys and not any(os.path.isfile(_xml(root, key)) for key in keys):  # noqa: PTH113
            return _read_unannotated(root, keys, names, builder)
        trees = {_xml(root, key): parse_xml(_xml(root, key), builder.problems) for key in keys}
        entries = [
            _Entry(path, tree, f"{IMAGES}/{_file_name(root, key, tree, builder)}")
            for key, (path, tree) in zip(keys, trees.items(), strict=True)
            if tree is not None
        ]
    else:
        builder.source = str(root)
        entries = _found(root, builder, split)
    names = known_names(builder.source, {entry.path: entry.tree for entry in entries}, names, builder.problems)
    for path, tree, name in entries:
        image = builder.add_image(str(path), root, name, builder.image_count + 1, *_size(tree, path, builder))
        add_objects(tree, path, image, builder, names, first_pixel=1, keep_difficult=keep_difficult)
    return builder.build(names, range(1, len(names) + 1))


def _listed(root: Path, builder: DatasetBuilder) -> list[str]:
    """The names of an image set, without the suffixes that some programs write."""

    def annotated(key: str) -> bool:
        return os.path.isfile(_xml(root, key))  # noqa: PTH113  # False, not an error, for a name too long

    keys: dict[str, None] = {}
    for key in read_image_set(Path(builder.source), annotated, builder.problems):
        slashed = key.replace("\\", "/")
        if slashed != key and not annotated(key):
            builder.note("lines are written with backslashes", repr(key))
            key = slashed  # noqa: PLW2901
        bare = str(PurePosixPath(key).with_suffix("")) if is_image_name(key) and not annotated(key) else key
        if bare in keys:
            builder.problems.append(f"{builder.source}: image {bare!r} is listed twice")
        elif bare != key:
            builder.note("lines have the suffix of the image, which is left out", repr(key))
        keys[bare] = None
    return list(keys)


def xml_files(root: Path, folder: str) -> list[str]:
    """The XML files below ``root`` that are in a folder of this name, or in one below it, by their paths from ``root`` on."""
    return _xml_files(files_below(root), folder)


def _xml_files(files: Sequence[str], folder: str) -> list[str]:
    """Of paths, those of XML files that are in a folder of this name, or in one below it; all XML files for ""."""
    return [name for name in files if name.lower().endswith(".xml") and _within(name, folder)]


def _within(name: str, folder: str) -> bool:
    return not folder or folder in PurePosixPath(name).parts[:-1]


def _found(root: Path, builder: DatasetBuilder, folder: str) -> list[_Entry]:
    """Every XML file of VOC's kind below folders of this name, or below ``root``, with the image that lies nearest to it."""
    files = files_below(root)
    images = NearestImages(files)
    entries: list[_Entry] = []
    for name in _xml_files(files, folder):
        path = root / name
        tree = parse_xml(path, builder.problems)
        if tree is None:
            continue
        if tree.tag != "annotation":
            builder.note("xml files are left out, for they are not of VOC's kind", str(path))
            continue
        near = images.of(name, PurePath(text_of(tree, "filename")).suffix)
        if len(near) == 1:
            entries.append(_Entry(path, tree, near[0]))
        elif near:
            builder.problems.append(f"{path}: its image may be {near[0]} or {near[1]}: name one of them otherwise")
        else:
            builder.problems.append(f"{path}: no image of this name lies below {root}")
    used = {entry.image for entry in entries}
    for image in images.paths:
        if image not in used and entries and _within(image, folder):
            builder.note("images without an xml file are left out", image)
    if not entries and not builder.problems:
        builder.problems.append(f"{root}: holds no xml file of VOC's kind")
    return entries


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
    """``image_name`` of every image, by its id; where two would be the same, the paths from the folder of all of them on."""
    paths = [dataset.path(index) for index in range(len(dataset))]
    names = [image_name(path) for path in paths]
    if len(set(names)) < len(names):
        start = os.path.commonpath([path.parent for path in paths])
        names = [path.relative_to(start).with_suffix("").as_posix() for path in paths]
    return dict(zip(dataset.image_ids, names, strict=True))


def _xml(root: Path, key: str) -> Path:
    return root / "Annotations" / f"{key}.xml"


def _file_name(root: Path, key: str, tree: Element, builder: DatasetBuilder) -> str:
    # the name in the list and not the filename, which renaming and copying leave behind, says which image it is
    if (root / IMAGES / f"{key}.jpg").is_file():
        return f"{key}.jpg"
    name = f"{key}{PurePath(text_of(tree, 'filename')).suffix or '.jpg'}"
    near = same_stem(root / IMAGES / name)
    if len(near) != 1 or os.path.isfile(root / IMAGES / name):  # noqa: PTH113
        return name
    builder.note("images are called otherwise than the set or the xml says", f"{near[0]}, not {PurePosixPath(name).name}")
    return str(PurePosixPath(key).parent / near[0])


def _size(tree: Element, path: Path, builder: DatasetBuilder) -> tuple[int, int]:
    """The (height, width) that an XML file says; 0 and 0 where it does not, as LabelImg's of images that it cannot open."""
    size = tree.find("size")
    if size is None or any(text_of(size, tag) in ("", "0") for tag in ("height", "width")):
        builder.note("xml files without an image size, which is taken from the image", str(path))
        return 0, 0
    return read_size_element(tree, path, builder.problems)
