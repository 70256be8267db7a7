"""ImageNet (ILSVRC 2012): training images in class folders, validation images in class folders or in one, with a table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resdet.data.formats.annotations import class_mismatch
from resdet.data.formats.file_names import is_image_name
from resdet.data.formats.folder import FileDataset, read_folder, sub_folders
from resdet.data.formats.table import read_csv
from resdet.errors import DataError
from resdet.files import regular

SOLUTION = "LOC_val_solution.csv"
SYNSETS = "LOC_synset_mapping.txt"
_WORDS = (SYNSETS, "words.txt")  # ImageNet's and Tiny ImageNet's: a wnid, and what it is called, a line
_WNID = re.compile(r"n\d{8}")
_ABOVE = 6  # folders of an image in which these may lie: class/split/CLS-LOC/Data/ILSVRC/root
_SHOWN = 5


def read_imagenet(
    root: str | Path, split: str, names: Sequence[str] | None = None, annotations: str | Path | None = None
) -> FileDataset:
    """Read ``train`` or ``val``; class names are WordNet ids (wnids), labels are their sorted order.

    ``train`` holds one folder a wnid. ``val`` holds the same, or images alone, whose classes are in ``LOC_val_solution.csv``:
    columns ImageId (the file's name without its suffix) and PredictionString, whose first word is the wnid. That file and
    ``LOC_synset_mapping.txt`` are looked for in ``root``, in ``val`` and in the three folders above ``root``, as they lie in
    the published tree, whose images are in ``ILSVRC/Data/CLS-LOC``.

    Args:
        root: the folder that holds train and val.
        split: which of them.
        names: wnids in label order. When not given: the folders of train; where there are none, the first words of the lines
            of ``LOC_synset_mapping.txt``, sorted; where that is missing too, the class folders of val.
        annotations: the solution file of a flat val, when it lies elsewhere.

    Raises:
        DataError: with every problem: a folder or table that is missing, broken or empty, images without a line, lines
            without an image, wnids that are unknown.
    """
    root = Path(root)
    folder = root / split
    if split == "train":
        return read_folder(folder, names)
    known = list(names) if names is not None else synset_names(root)
    classes = sub_folders(folder)
    images, twice = flat_images(folder)
    if classes and images:
        raise DataError(f"{folder}: must hold class folders or images, got {len(classes)} folders and {len(images)} images")
    if classes:
        return read_folder(folder, known)
    if not images:
        raise DataError(f"{folder}: holds no image")
    return _flat(folder, images, twice, known, Path(annotations) if annotations else find_table(root, SOLUTION))


def flat_images(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """The images of a folder, ImageId -> file, and the ids shared by files that differ only by suffix."""
    images: dict[str, bytes] = {}
    twice: list[str] = []
    for entry in os.scandir(folder):
        if is_image_name(entry.name) and not entry.is_dir():
            key = entry.name.rpartition(".")[0]
            twice += [key] if key in images else []
            images[key] = os.fsencode(entry.path)
    return images, twice


def _flat(
    folder: Path, images: dict[str, bytes], twice: list[str], names: Sequence[str] | None, solution: Path | None
) -> FileDataset:
    """``images`` (ImageId -> file) with the classes of the table ``solution``."""
    problems = counted(f"{folder}: images whose name differs from another's in its suffix alone", sorted(twice))
    if solution is None:
        problems.append(f"{folder}: its images lie in one folder, and there is no {SOLUTION} beside or above it")
    if names is None:
        problems.append(f"{folder}: its class names are unknown: there is neither a train folder nor a {SYNSETS}")
    if solution is None or names is None:
        raise DataError(problems)
    labels = {name: label for label, name in enumerate(names)}
    wnids = _solution(solution, problems)
    problems += counted(f"{solution}: images of {folder} without a line", sorted(images.keys() - wnids.keys()))
    problems += counted(f"{solution}: lines without an image in {folder}", sorted(wnids.keys() - images.keys()))
    problems += [f"{solution}: {problem}" for problem in class_mismatch(sorted(set(wnids.values())), names)]
    if problems:
        raise DataError(problems)
    keys = sorted(images)
    return FileDataset(
        tuple(names),
        np.array([images[key] for key in keys], dtype=np.bytes_),
        np.array([labels[wnids[key]] for key in keys], dtype=np.int64),
    )


def _solution(path: Path, problems: list[str]) -> dict[str, str]:
    """ImageId -> wnid."""
    wnids: dict[str, str] = {}
    for line, (key, prediction) in read_csv(path, ("ImageId", "PredictionString"), problems):
        if not key or not prediction:
            problems.append(f"{path}: line {line}: ImageId and PredictionString must not be empty")
        elif key in wnids:
            problems.append(f"{path}: line {line}: {key} has a line already")
        else:
            wnids[key] = prediction.split()[0]
    return wnids


def synset_names(root: Path) -> list[str] | None:
    """The class names of train or of the synset table; None where there is neither, a DataError where the table is broken."""
    if (root / "train").is_dir() and (found := sub_folders(root / "train")):
        return found
    path = find_table(root, SYNSETS)
    if path is None:
        return None
    try:
        wnids = [line.split()[0] for line in regular(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    twice = sorted({wnid for wnid in wnids if wnids.count(wnid) > 1}) if len(set(wnids)) < len(wnids) else []
    if not wnids or twice:
        raise DataError(counted(f"{path}: wnids that have two lines", twice) or f"{path}: must hold a wnid a line, got none")
    return sorted(wnids)


def spoken_names(names: Sequence[str], image: Path) -> tuple[str, ...]:
    """Class names for people: of wnids also what the table of names says they are, ``"tench (n01440764)"``; others stay.

    Args:
        names: class names.
        image: a file of the data set; the table is looked for in the folders above it.
    """
    if not names or not all(map(_WNID.fullmatch, names)):
        return tuple(names)
    tables = (folder / name for folder in list(image.absolute().parents)[:_ABOVE] for name in _WORDS)
    table = next((path for path in tables if path.is_file()), None)
    lines = regular(table).read_text(encoding="utf-8-sig", errors="replace").splitlines() if table else []
    pairs = (line.split(maxsplit=1) for line in lines)
    words = {pair[0]: pair[1].split(",")[0].strip() for pair in pairs if len(pair) == 2}
    return tuple(f"{words[name]} ({name})" if name in words else name for name in names)


def find_table(root: Path, name: str) -> Path | None:
    """The table ``name`` in ``root``, in its ``val`` or in one of the three folders above; None where it is in none of them."""
    places = (root, root / "val", *root.resolve().parents[:3])
    return next((place / name for place in places if (place / name).is_file()), None)


def counted(what: str, items: Sequence[str]) -> list[str]:
    """One problem that covers all ``items``, with their number and the first of them; no problem when there are no items."""
    if not items:
        return []
    more = ", …" if len(items) > _SHOWN else ""
    return [f"{what} ({len(items)}): {', '.join(items[:_SHOWN])}{more}"]
