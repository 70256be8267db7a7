"""Finds labelled images below a path: folders of classes or lists, and their parts for training and validation."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resdet.config.schema import ClassificationSourceConfig
from resdet.data.formats.file_names import is_image_name, same_stem
from resdet.data.formats.folder import sub_folders
from resdet.data.formats.image_list import SYNONYMS
from resdet.data.formats.table import columns_of, delimiter_of, named_columns
from resdet.data.found.kinds import beginning, kind_of
from resdet.data.found.paths import TRAIN, VAL, lone_folders, opened, part_named
from resdet.errors import DataError
from resdet.files import parse_json, walk_files

# folders that are no classes when there are no others
_PARTS = {*TRAIN, *VAL, "test2017", "unlabeled", "images", "imgs", "jpegimages", "photos", "labels", "annotations", "masks"}
_MOST_LOOKED_AT = 200_000
_FIRST_OBJECT = {".json": r"\s*\[\s*(\{[^{}]*\})", ".jsonl": r"\s*(\{[^{}]*\})"}
_ROWS = 20  # of a list, whose images are looked for


@dataclass(frozen=True)
class FoundClasses:
    """Labelled images that were found below a path.

    Attributes:
        layout: what was found, for people.
        train: what to train on, or everything when there is no part for validation.
        val: what to validate on; None when nothing in the data is meant for it.
        notes: what is left out, one sentence each.
    """

    layout: str
    train: ClassificationSourceConfig
    val: ClassificationSourceConfig | None = None
    notes: tuple[str, ...] = ()


def find_classes(path: str | Path) -> FoundClasses:
    """Find the labelled images that a folder, a list or an archive holds.

    Args:
        path: a folder with one folder for each class, or with parts (``train``, ``val`` and so on) of such folders; a CSV, JSON
            or JSON-lines list of images and labels, or a folder with one or with one for each part; or an archive of these,
            which is unpacked into the cache folder once.

    Raises:
        ConfigError: there is no such path.
        DataError: no labelled images were found, with what was looked for and what is there instead; several lists of which
            none is for training; or a broken archive.
    """
    place = opened(path)
    found = _of_list(place) if place.is_file() else _of_folder(place)
    if found is None:
        raise DataError(f"{path}: {_nothing(place)}")
    return found


def class_folders(root: Path) -> list[str]:
    """The names of the folders in ``root`` that hold images; none when they only have names of parts, such as ``train``."""
    names = [name for name in sub_folders(root) if any(map(_is_image, walk_files(root / name)))]
    return [] if all(name.lower() in _PARTS for name in names) else names


def _of_list(file: Path) -> FoundClasses | None:
    return FoundClasses(f"a list, {file.name}", _listed(file)) if is_label_list(file) else None


def _of_folder(root: Path) -> FoundClasses | None:
    return next((found for folder in lone_folders(root) for look in _LOOKS if (found := look(folder))), None)


def _parts(root: Path) -> FoundClasses | None:
    """Folders train and val (or by another of their names), each with folders of classes or a list."""
    train = _part(root, TRAIN, 2)
    if train is None:
        return None
    name, first = train
    if second := _part(root, VAL, 1):
        val, notes = second[1].train, (*first.notes, *second[1].notes)
        return FoundClasses(f"{first.layout}, in {name} and {second[0]}", first.train, val, notes)
    return FoundClasses(f"{first.layout}, in {name}", first.train, None, first.notes)


def _part(root: Path, names: Sequence[str], least: int) -> tuple[str, FoundClasses] | None:
    """The folder of a part, and what is in it: a list, or so many folders of classes at least, perhaps within a folder."""
    left = set(sub_folders(root))
    while name := part_named(left, names):
        left.remove(name)
        held = {folder: len(class_folders(folder)) for folder in lone_folders(root / name)}
        folder = next((each for count in (2, least) for each in held if held[each] >= count), None)
        if folder:
            classes = FoundClasses("folders of classes", _folder(folder), None, tuple(_left_out(folder)))
            return str(folder.relative_to(root)), classes
        if found := _lists(root / name):
            return name, found
    return None


def _folder(root: Path) -> ClassificationSourceConfig:
    return ClassificationSourceConfig("folder", str(root))


def _lists(root: Path) -> FoundClasses | None:
    """A list of images and labels, or one for each part."""
    lists = [file for file in sorted(root.iterdir()) if file.is_file() and is_label_list(file)]
    sure = [file for file in lists if _present(_image_folder(file), _first_paths(file))]
    if sure or len(class_folders(root)) > 1:  # a list of something else may lie beside them
        lists = sure
    if not lists:
        return None
    part = {name: [file for file in lists if name in file.stem.lower()] for name in ("train", "val", "test")}
    others = [file for file in lists if not any(file in files for files in part.values())]
    train = part["train"] or others or lists
    if len(train) > 1:
        names = ", ".join(file.name for file in train)
        raise DataError(f"{root}: holds several lists of images, {names}: name one of them, --data {train[0]}")
    val = next((file for file in (*part["val"], *part["test"]) if file not in train), None)
    layout = f"a list, {train[0].name}" + (f", and {val.name}" if val else "")
    return FoundClasses(layout, _listed(train[0]), _listed(val) if val else None)


def _classes(root: Path) -> FoundClasses | None:
    """One folder for each class."""
    if len(class_folders(root)) < 2:
        return None
    return FoundClasses("folders of classes", _folder(root), None, tuple(_left_out(root)))


_LOOKS: Sequence[Callable[[Path], FoundClasses | None]] = (_parts, _lists, _classes)


def is_label_list(file: Path) -> bool:
    """Whether a CSV, JSON or JSON-lines file lists images with a label each, and no boxes; only its beginning is read."""
    return bool(_columns(file)) and kind_of(file) is None


def _columns(file: Path) -> dict[str, str]:
    """What a list calls the columns path and label; empty when it lacks one of them."""
    suffix, names = file.suffix.lower(), list[str]()
    if suffix == ".csv":
        names = columns_of(beginning(file))
    elif suffix in _FIRST_OBJECT and (match := re.match(_FIRST_OBJECT[suffix], beginning(file))):
        try:
            names = list(parse_json(match[1]))
        except ValueError:
            return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever reads the list is told
        named = named_columns(file, names, ("path", "label"), SYNONYMS)
    return named if len(named) == 2 else {}


def _listed(file: Path) -> ClassificationSourceConfig:
    return ClassificationSourceConfig("list", str(_image_folder(file)), annotations=str(file))


def _image_folder(file: Path) -> Path:
    """The folder that a list's paths start from: of the likely ones that with the most of its first images."""
    paths = _first_paths(file)
    part = next((name for name in ("train", "val", "valid", "test") if name in file.stem.lower()), "")
    above = file.parent.parent
    usual = (part, f"{part}_images", "images", "imgs", "data", "photos")
    near = [folder / name for folder in (file.parent, above) for name in usual if name]
    folders = [file.parent, *(folder for folder in near if folder.is_dir()), above]
    return max(folders, key=lambda folder: _present(folder, paths))  # the first of equals


def _present(folder: Path, paths: Sequence[str]) -> int:
    """How many of the paths are images of the folder, with or without their suffix."""
    usable = [folder / path for path in paths if path and "\0" not in path and len(path) < 1000]
    # os.path.isfile is False, not an error, for a name too long
    return sum(os.path.isfile(path) or (not is_image_name(path.name) and bool(same_stem(path))) for path in usable)  # noqa: PTH113


def _first_paths(file: Path) -> list[str]:
    """The paths of a list's first rows; none when it cannot be read, which its reader will tell."""
    text, key = beginning(file), _columns(file)["path"]
    if file.suffix.lower() == ".csv":
        lines = text.splitlines()[: _ROWS + 1]
        table = csv.DictReader(lines, skipinitialspace=True, delimiter=delimiter_of(text))
        rows: list[Mapping[str, object]] = list(table)
    else:
        objects = re.findall(r"\{[^{}]*\}", text)[:_ROWS]
        try:
            rows = [parse_json(found) for found in objects]
        except ValueError:
            rows = []
    return [str(row.get(key, "")).strip().replace("\\", "/") for row in rows]


def _left_out(root: Path) -> list[str]:
    """A note when images lie beside the folders of classes."""
    beside = [entry.name for entry in sorted(root.iterdir()) if _is_image(entry.name) and entry.is_file()]
    if not beside:
        return []
    many = f"{len(beside)} images lie" if len(beside) > 1 else "1 image lies"
    return [f"{root}: {many} beside the folders of classes, {beside[0]} for one: left out; in a folder of a class they count"]


def _is_image(name: str) -> bool:
    return is_image_name(Path(name).name)


def _nothing(place: Path) -> str:
    paths, labels = (", ".join((column, *SYNONYMS[column])) for column in ("path", "label"))
    a_list = f"a CSV, JSON or metadata.jsonl list with a column of paths ({paths}) and one of labels ({labels})"
    if place.is_file():
        return f"is no list of images: must be {a_list}"
    counts: Counter[str] = Counter()
    for count, name in enumerate(walk_files(place)):
        if count == _MOST_LOOKED_AT:
            break
        counts["images" if _is_image(name) else Path(name).suffix.lower() or "without suffix"] += 1
    there = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(5)) or "nothing"
    one = class_folders(place)
    if len(one) == 1:
        there += f", in one folder of a class, {one[0]}; a classifier needs two classes"
    return (
        "no labelled images found. Looked for: one folder for each class, with or without the folders train and val around "
        f"them; {a_list}; there is: {there}. "
        "Objects with boxes train a detector (resdet train-det --data)"
    )
