"""Reads a file that lists images and their labels."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resdet.data.formats.annotations import class_mismatch
from resdet.data.formats.file_names import spelled_here, unsafe_name
from resdet.data.formats.folder import FileDataset
from resdet.data.formats.json_lines import json_lines
from resdet.data.formats.places import ImagePlaces
from resdet.data.formats.table import named_columns, read_csv
from resdet.errors import DataError
from resdet.files import read_json

# other names of the columns, as other tools write them; the last, which may be missing, says which part an image is for
SYNONYMS = {
    "path": (
        "filename",
        "file",
        "image",
        "image_path",
        "file_name",
        "filepath",
        "file_path",
        "image_name",
        "img",
        "image_id",
        "id",
    ),
    "label": ("class", "category", "class_name", "label_name", "target", "choice", "breed", "species"),
    "split": ("subset", "partition", "data set"),
}
_COLUMNS = ("path", "label", "split")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


class _Entry(NamedTuple):
    """A listed image: its place in the list, for messages, and its entry; "" where it says no part."""

    where: str
    path: str
    label: str
    part: str


def read_image_list(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> FileDataset:
    """Read a list of images: CSV whose first line is ``path,label``, or JSON, ``[{"path": …, "label": …}, …]``.

    JSON may also have a line for each object and no brackets, as Hugging Face's ``metadata.jsonl`` does. A label is a class
    name; a number is taken as its text. Columns called otherwise (``SYNONYMS``) are read with a warning; a JSON list has the
    keys of its first object. Other columns and keys are left alone, as is space around a value of a CSV file.

    Args:
        root: the folder that paths are relative to; they must stay in it, links followed.
        annotations: the list; JSON if it is called ``.json`` or ``.jsonl``, else CSV.
        names: class names in label order; when not given those of the list, sorted, as numbers if all are integers.

    Raises:
        DataError: with every problem of the list, by line (JSON: by entry, counted from 1): paths that are empty, leave the
            root, are listed twice or are no file; labels that are empty or not among ``names``.
    """
    root, source = Path(root), Path(annotations)
    problems: list[str] = []
    entries = _entries(source, problems)
    first_use = {entry.label: entry.where for entry in reversed(entries)}
    found = _sorted(first_use)
    names = found if names is None else list(names)
    if mismatch := class_mismatch(found, names):
        problems += [f"{source}: {problem}" for problem in mismatch]
        problems += [f"{first_use[name]}: uses class {name!r}" for name in found if name not in names]
    files = _files(root, source, entries, problems)
    if not entries and not problems:
        problems.append(f"{source}: lists no image")
    if problems:
        raise DataError(problems)
    labels = {name: label for label, name in enumerate(names)}
    return FileDataset(
        tuple(names), np.array(files, dtype=np.bytes_), np.array([labels[entry.label] for entry in entries], dtype=np.int64)
    )


def _sorted(names: Iterable[str]) -> list[str]:
    texts = sorted(names)
    return sorted(texts, key=int) if all(map(_INTEGER.fullmatch, texts)) else texts


def parts_of_list(annotations: str | Path) -> list[str]:
    """The part that each image of a list is for by its column ``split``, in the list's order; "" where it says nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever reads the images is told
        return [entry.part for entry in _entries(Path(annotations), [])]


def _entries(source: Path, problems: list[str]) -> list[_Entry]:
    suffix = source.suffix.lower()
    if suffix == ".jsonl":
        return _json_entries(source, list(json_lines(source, problems)), problems)
    if suffix != ".json":
        return _csv_entries(source, problems)
    content = read_json(source)
    if not isinstance(content, list):
        raise DataError(f"{source}: must be a list of objects with path and label, got {type(content).__name__}")
    return _json_entries(source, [(f"{source}: entry {number}", entry) for number, entry in enumerate(content, 1)], problems)


def _csv_entries(source: Path, problems: list[str]) -> list[_Entry]:
    entries = []
    for line, (path, label, part) in read_csv(source, _COLUMNS, problems, SYNONYMS, optional=("split",)):
        where = f"{source}: line {line}"
        problems += [f"{where}: {key} must not be empty" for key, value in (("path", path), ("label", label)) if not value]
        if path and label:
            entries.append(_Entry(where, path, label, part))
    return entries


def _json_entries(source: Path, content: Sequence[tuple[str, Any]], problems: list[str]) -> list[_Entry]:
    first = next((list(map(str, entry)) for _, entry in content if isinstance(entry, dict)), [])
    keys = named_columns(source, first, _COLUMNS, SYNONYMS)
    entries = []
    for where, entry in content:
        if not isinstance(entry, dict):
            problems.append(f"{where}: must be an object with path and label, got {type(entry).__name__}")
            continue
        path, label, part = (entry.get(keys.get(name, name)) for name in _COLUMNS)
        wrong = []
        if not isinstance(path, str) or not path.strip():
            wrong.append(f"{where}: path must be a non-empty string, got {path!r}")
        # True is an integer to Python
        if not isinstance(label, (str, int, float)) or isinstance(label, bool) or not str(label).strip():
            wrong.append(f"{where}: label must be a non-empty string or a number, got {label!r}")
        if not wrong:
            entries.append(_Entry(where, str(path), str(label), str(part or "")))
        problems += wrong
    return entries


def _files(root: Path, source: Path, entries: Sequence[_Entry], problems: list[str]) -> list[bytes]:
    """The image files of the entries; problems with them are added to ``problems``."""
    files: list[bytes] = []
    missing: list[str] = []
    listed: dict[str, str] = {}
    guard = _Guard(root)
    places = ImagePlaces(root)
    elsewhere: list[str] = []
    taken = {spelled_here(root, entry.path) for entry in entries}  # an image that another line names stands in for none
    for where, name, *_ in entries:
        if unsafe_name(name) or not os.path.isfile(os.path.join(root, spelled_here(root, name))):  # noqa: PTH113, PTH118
            found, note = places.find(name)
            if note and found not in taken:
                name = found  # noqa: PLW2901
                taken.add(found)
                elsewhere.append(where)
        if problem := unsafe_name(name):
            problems.append(f"{where}: {problem}")
            continue
        path = os.path.normpath(os.path.join(root, spelled_here(root, name)))  # noqa: PTH118  # a million of them: Path is slow
        files.append(os.fsencode(path))
        if path in listed:
            problems.append(f"{where}: {name!r} is listed already: {listed[path].removeprefix(f'{source}: ')}")
            continue
        listed[path] = where
        if outside := guard.leaves(path):
            problems.append(f"{where}: {name!r} must stay in the images' folder {root}, is linked to {outside}")
        elif not os.path.isfile(path):  # noqa: PTH113
            missing.append(f"{where}: {'is no file' if os.path.isdir(path) else 'no such image file'}: {path}")  # noqa: PTH112
    if elsewhere:
        text = f"{len(elsewhere)} images are found by their file names alone, the first: {elsewhere[0].rpartition(': ')[2]}"
        warnings.warn(f"{source}: {text}", stacklevel=4)
    if len(missing) == len(entries) > 1:
        problems.append(f"{source}: none of its {len(missing)} image files exists; {missing[0]}")
    else:
        problems += missing
    return files


class _Guard:
    """Tells paths that leave a folder through a link; each folder is looked up once."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.folders: dict[str, str] = {}

    def leaves(self, path: str) -> str | None:
        """The place that ``path`` leads to when it is outside the folder, else None."""
        folder, name = os.path.split(path)
        if folder not in self.folders:
            self.folders[folder] = os.path.realpath(folder)
        real = os.path.join(self.folders[folder], name)  # noqa: PTH118
        if os.path.islink(real):  # noqa: PTH114
            real = os.path.realpath(real)
        inside = real == self.root or real.startswith(self.root.rstrip(os.sep) + os.sep)
        return None if inside else real
