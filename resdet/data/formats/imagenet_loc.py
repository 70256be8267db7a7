"""ImageNet's localization task (ILSVRC CLS-LOC): images with a class, boxes in a table or in XML files.

The coordinates of a box are those of its first and its last pixel, counted from 0: of the first 100 validation images, no
``xmin`` is below 0 and no ``xmax`` above width - 1, and both are reached. Here a box is continuous:
``xmin, ymin, xmax + 1, ymax + 1``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resdet.data.convention import Convention
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.data.formats.folder import read_folder, sub_folders
from resdet.data.formats.imagenet import counted, find_table, flat_images, synset_names
from resdet.data.formats.table import read_csv
from resdet.data.formats.voc_xml import add_objects, parse_xml, read_size_element, text_of
from resdet.data.localization import UNLABELLED, LocalizedImages, localized_images
from resdet.errors import DataError
from resdet.files import regular, walk_files
from resdet.images import read_size

_ENDLESS = 2**31  # the size of an image that cannot be read, so that its boxes are still checked


@dataclass(frozen=True)
class _Annotation:
    """The annotation of one image.

    Attributes:
        where: its line or file, for messages.
        wnids: the class of the image, then those of its objects.
        size: (height, width) of the image, pixels.
        add: adds the objects to the builder, given the index of the image.
    """

    where: str
    wnids: list[str]
    size: tuple[int, int]
    add: Callable[[int], None]


@dataclass(frozen=True)
class _Annotations:
    """All annotations of a split: a name for messages, the ImageIds, and what reads one; None after a problem."""

    source: str
    keys: set[str]
    read: Callable[[str], _Annotation | None]


def read_imagenet_loc(
    root: str | Path,
    split: str,
    names: Sequence[str] | None = None,
    *,
    annotations: str | Path | None = None,
    solution: str | Path | None = None,
    blacklist: str | Path | None = None,
) -> LocalizedImages:
    """Read ``train``, ``val`` or ``test``; class names are WordNet ids (wnids), labels are their sorted order.

    The images lie in ``ILSVRC/Data/CLS-LOC/<split>``, or in ``<split>`` alone: in class folders, or in one folder. The boxes
    come from ``LOC_<split>_solution.csv``, whose PredictionString is ``wnid xmin ymin xmax ymax`` again and again, or a wnid
    alone; it is looked for as ``read_imagenet`` does. Where there is none, they come from the XML files below
    ``ILSVRC/Annotations/CLS-LOC/<split>``. The class of an image is its folder; in one folder, it is that of its first object.

    In class folders an image need not have an annotation: it has a class and no box. Objects of another class than their
    image's are left out, boxes partly outside are clipped, both counted in warnings. Images of ``test`` are ``UNLABELLED``.

    Args:
        root: the folder that holds ILSVRC, or the one with train, val and test.
        split: which of them.
        names: wnids in label order; those of ``read_imagenet`` when not given.
        annotations: the folder of the split's XML files, when it lies elsewhere.
        solution: the table, when it lies elsewhere.
        blacklist: a file of numbers, one a line: images whose boxes do not count, numbered from 1 in the order of their names,
            as the development kit lists 1,762 validation images of doubtful annotation.

    Raises:
        DataError: with every problem: a folder, table or XML file that is missing or broken, annotations without an image,
            images of one folder without an annotation, unknown wnids, boxes that are not finite, reversed or wholly outside.
    """
    root = Path(root)
    nested = root / "ILSVRC" / "Data" / "CLS-LOC"
    top = nested if nested.is_dir() else root
    folder = top / split
    builder = DatasetBuilder(str(folder), Convention(cornered=True), fixable=False)
    files, classes = _images(folder, builder.problems)
    known = names if names is not None else synset_names(top) or sorted(set(classes.values()))
    if not known:
        builder.problems.append(f"{folder}: its class names are unknown: there is neither a train folder nor a synset table")
    found = None
    if split != "test":
        table = Path(solution) if solution else find_table(top, f"LOC_{split}_solution.csv")
        folder_of_xml = Path(annotations) if annotations else top.parent.parent / "Annotations" / "CLS-LOC" / split
        if table is not None:
            found = _table(table, files, builder, known)
        elif folder_of_xml.is_dir():
            found = _xml_files(folder_of_xml, builder, known)
        else:
            builder.problems.append(f"{folder}: has no boxes: no LOC_{split}_solution.csv beside or above, no {folder_of_xml}")
    labels = _add_images(folder, files, classes, found, builder, known)
    without = _read_blacklist(Path(blacklist), len(files), builder.problems) if blacklist else []
    return localized_images(builder.build(known, range(1, len(known) + 1)), labels, without)


def _images(folder: Path, problems: list[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """ImageId -> file, and ImageId -> wnid where the images lie in class folders."""
    if not sub_folders(folder):
        flat, twice = flat_images(folder)
        problems += counted(f"{folder}: images whose name differs from another's in its suffix alone", sorted(twice))
        return {key: Path(os.fsdecode(path)) for key, path in sorted(flat.items())}, {}
    dataset = read_folder(folder)
    paths = [dataset.path(index) for index in range(len(dataset))]
    files = {path.stem: path for path in paths}
    classes = {path.stem: dataset.names[dataset.label(index)] for index, path in enumerate(paths)}
    if len(files) < len(paths):
        shared = {path.stem for path in paths if files[path.stem] != path}
        problems += counted(f"{folder}: images of the same name", sorted(shared))
    return dict(sorted(files.items())), classes


def _add_images(
    folder: Path,
    files: dict[str, Path],
    classes: dict[str, str],
    annotations: _Annotations | None,
    builder: DatasetBuilder,
    names: Sequence[str],
) -> list[int]:
    """Add every image with its objects; return the labels."""
    problems = builder.problems
    labels_of = {name: label for label, name in enumerate(names)}
    labels: list[int] = []
    used: dict[str, str] = dict.fromkeys(classes.values(), str(folder))  # wnid -> where it was seen first
    unknown_class: list[str] = []
    for key, path in files.items():
        annotation = annotations.read(key) if annotations and key in annotations.keys else None
        wnids = annotation.wnids if annotation else []
        for wnid in wnids:
            used.setdefault(wnid, annotation.where if annotation else "")
        wnid = classes.get(key) or next(iter(wnids), "")
        if annotations and not wnid and not (annotation is None and key in annotations.keys):
            unknown_class.append(key)
        labels.append(labels_of.get(wnid, 0) if annotations else UNLABELLED)
        size = annotation.size if annotation else (0, 0)
        image = builder.add_image(str(folder), path.parent, path.name, builder.image_count + 1, *size)
        if annotation:
            annotation.add(image)
    if annotations:
        problems += counted(f"{annotations.source}: images of {folder} without a class", unknown_class)
        orphans = sorted(annotations.keys - files.keys())
        problems += counted(f"{annotations.source}: annotations without an image in {folder}", orphans)
    problems += [f"{folder}: {problem}" for problem in class_mismatch(sorted(used), names)]
    problems += [f"{where}: uses class {wnid!r}" for wnid, where in sorted(used.items()) if wnid not in labels_of]
    return labels


def _table(path: Path, files: dict[str, Path], builder: DatasetBuilder, names: Sequence[str]) -> _Annotations:
    """The annotations of a solution table; sizes come from the images' headers."""
    labels = {name: label for label, name in enumerate(names)}
    lines: dict[str, tuple[int, list[str]]] = {}
    for line, (key, prediction) in read_csv(path, ("ImageId", "PredictionString"), builder.problems):
        if key in lines:
            builder.problems.append(f"{path}: line {line}: {key} has a line already")
        lines.setdefault(key, (line, prediction.split()))

    def read(key: str) -> _Annotation | None:
        line, words = lines[key]
        where = f"{path}: line {line}"
        objects = [words[first : first + 5] for first in range(0, len(words), 5)] if len(words) > 1 else []
        try:
            boxes = [tuple(map(float, corners)) for _, *corners in objects]
        except ValueError:
            boxes = []
        if len(boxes) != len(objects) or not (len(words) == 1 or len(words) % 5 == 0):
            rule = "PredictionString must be 'wnid xmin ymin xmax ymax', again and again"
            builder.problems.append(f"{where}: {rule}, got {' '.join(words)!r:.80}")
            return None

        def add(image: int) -> None:
            for number, ((wnid, *_), (xmin, ymin, xmax, ymax)) in enumerate(zip(objects, boxes, strict=True), 1):
                if wnid in labels:
                    box = (xmin, ymin, xmax - xmin + 1, ymax - ymin + 1)
                    builder.add_object(f"{where}: object {number}", image, labels[wnid], box, builder.object_count + 1)

        size = _size(files[key], builder.problems) if objects else (0, 0)
        return _Annotation(where, words[::5], size, add)

    return _Annotations(str(path), set(lines), read)


def _size(path: Path, problems: list[str]) -> tuple[int, int]:
    try:
        return read_size(path)
    except DataError as error:
        problems += error.problems
        return _ENDLESS, _ENDLESS


def _xml_files(folder: Path, builder: DatasetBuilder, names: Sequence[str]) -> _Annotations:
    """The annotations of the XML files below a folder, called as their images."""
    paths: dict[str, Path] = {}
    twice: list[str] = []
    for path in map(Path, walk_files(folder)):
        if path.suffix == ".xml":
            twice += [path.stem] if path.stem in paths else []
            paths[path.stem] = path
    builder.problems += counted(f"{folder}: XML files of the same name", sorted(twice))

    def read(key: str) -> _Annotation | None:
        path = paths[key]
        tree = parse_xml(path, builder.problems)
        if tree is None:
            return None
        wnids = [name for item in tree.findall("object") if (name := text_of(item, "name"))]
        size = read_size_element(tree, path, builder.problems)

        def add(image: int) -> None:
            add_objects(tree, path, image, builder, names, first_pixel=0, keep_difficult=True)

        return _Annotation(str(path), wnids, size, add)

    return _Annotations(str(folder), set(paths), read)


def _read_blacklist(path: Path, images: int, problems: list[str]) -> list[int]:
    """The indices, from 0, of the images that a file numbers from 1."""
    try:
        words = regular(path).read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return []
    wrong = [word for word in words if not word.isdecimal() or not 1 <= int(word) <= images]
    problems += counted(f"{path}: must hold numbers from 1 to {images}, one a line; others", wrong)
    return [] if wrong else [int(word) - 1 for word in words]
