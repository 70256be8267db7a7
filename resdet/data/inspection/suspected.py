"""Puts into a data set what a report suspects of its annotation and its user has agreed to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resdet.data.dataset import OBJECT_COLUMNS, DetectionDataset
from resdet.data.finding import object_place
from resdet.data.inspection.mend import Change, shown_box, without
from resdet.errors import DataError
from resdet.files import read_json

ADD, RENAME, REMOVE = "no-box", "another-class", "never-found"
SUSPECTED = (ADD, RENAME, REMOVE)
_TYPES: dict[str, type | tuple[type, ...]] = {"kind": str, "image_id": (int, str), "file": str, "category": str, "bbox": list}
_ANNOTATED = {"annotated": str, "annotation_id": int}


class Suspected(NamedTuple):
    """A row of ``label_suspicions.json``.

    Attributes:
        place: the file and the number of the row, for messages.
        kind: of ``SUSPECTED``: an object to add, one of another class, or one to remove.
        image: the image's id and the name of its file.
        file: the file of the image, as the report names it; its folders tell images of one id and name apart.
        category: the class of the object to add, or the right class.
        annotated: the class that is annotated; "" for an object to add.
        annotation_id: the annotation to change; -1 for an object to add.
        box: ``x, y, width, height``, pixels, of the object to add.
    """

    place: str
    kind: str
    image: tuple[int | str, str]
    file: Path
    category: str
    annotated: str
    annotation_id: int
    box: tuple[float, ...]


def read_suspicions(path: str | Path, kinds: Collection[str]) -> list[Suspected]:
    """The rows of these kinds, of ``SUSPECTED``, in a file that ``report`` wrote, or what its user has left of it.

    Raises:
        DataError: the file cannot be read, or with every row that is not as ``report`` writes them.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path}: must be a list of suspicions, as `resdet report` writes it, got {type(content).__name__}")
    rows, problems = [], []
    for number, row in enumerate(content, 1):
        place = f"{path}: row {number}"
        if problem := _problem(row):
            problems.append(f"{place}: {problem}")
        elif (kind := row["kind"].replace(" ", "-")) in kinds:
            file, box = Path(row["file"]), tuple(map(float, row["bbox"]))
            annotated, key = ("", -1) if kind == ADD else (row["annotated"], row["annotation_id"])
            rows.append(Suspected(place, kind, (row["image_id"], file.name), file, row["category"], annotated, key, box))
    if problems:
        raise DataError(problems)
    return rows


def _problem(row: Any) -> str:
    """What is wrong with the form of a row; "" when nothing is."""
    if not isinstance(row, dict):
        return f"must be an object, got {row!r:.80}"
    wrong = [name for name, kind in _TYPES.items() if not isinstance(row.get(name), kind) or isinstance(row[name], bool)]
    if not wrong and row["kind"].replace(" ", "-") not in SUSPECTED:
        wrong = ["kind"]
    if not wrong and row["kind"].replace(" ", "-") != ADD:
        wrong = [name for name in ("annotated", "annotation_id") if not isinstance(row.get(name), _ANNOTATED[name])]
    if wrong:
        return f"{wrong[0]!r} is not as `resdet report` writes it, got {row.get(wrong[0])!r:.80}"
    sides = row["bbox"]
    numbers = all(isinstance(side, (int, float)) and abs(side) < 1e9 for side in sides)  # NaN is not below
    good = numbers and len(sides) == 4 and min(sides[2:]) > 0
    return "" if good else f"'bbox' must be x, y, width and height in pixels, got {sides!r:.80}"


def of_sets(rows: Sequence[Suspected], datasets: Sequence[DetectionDataset]) -> list[list[Suspected]]:
    """For each data set the rows that are about its images.

    Sets may have images of one id and name: then it is the one whose folders, from the last one on, are more like the row's.

    Raises:
        DataError: with every row whose image is in none of them, or in several that are equally like it.
    """
    images = [_images(dataset) for dataset in datasets]
    found: list[list[Suspected]] = [[] for _ in datasets]
    problems = []
    for row in rows:
        sets = zip(found, datasets, images, strict=True)
        likeness = [(_alike(row.file, data.path(known[row.image])), own) for own, data, known in sets if row.image in known]
        most = max((alike for alike, _ in likeness), default=0)
        homes = [own for alike, own in likeness if alike == most]
        if len(homes) == 1:
            homes[0].append(row)
        else:
            where = "is in more than one of the data sets" if homes else "is not in the data"
            key, name = row.image
            problems.append(f"{row.place}: image {name} with id {key} {where}; give the data of the evaluation")
    if problems:
        raise DataError(problems)
    return found


def _alike(one: Path, other: Path) -> int:
    """How many parts two paths have in common at their ends."""
    pairs = zip(reversed(one.parts), reversed(other.parts), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def corrected(dataset: DetectionDataset, rows: Sequence[Suspected]) -> tuple[DetectionDataset, list[Change]]:
    """A copy of a data set with the changes that the rows ask for, and what was changed.

    Raises:
        DataError: with every row whose class, or whose object, is not in the data set.
    """
    images, labels = _images(dataset), _labels(dataset)
    own_names = {label: name for name, label in labels.items()}
    new_labels, gone = dataset.labels.copy(), np.zeros(len(dataset.labels), np.bool_)
    changes: list[Change] = []
    problems, added = [], []
    for row in rows:
        index = images[row.image]
        objects = np.arange(dataset.offsets[index], dataset.offsets[index + 1])
        place = objects[dataset.annotation_ids[objects] == row.annotation_id]
        label = labels.get(row.category)
        if label is None:
            problems.append(f"{row.place}: the data set has no class {row.category!r}")
        elif row.kind == ADD:
            added.append((index, label, row))
        elif not len(place) or labels.get(row.annotated) != dataset.labels[place[0]]:
            problems.append(f"{row.place}: {row.image[1]} has no {row.annotated!r} with annotation id {row.annotation_id}")
        elif row.kind == REMOVE:
            gone[place[0]] = True
        elif new_labels[place[0]] not in (dataset.labels[place[0]], label):
            problems.append(f"{row.place}: annotation id {row.annotation_id} has another row with another class; keep one")
        else:
            new_labels[place[0]] = label
    if problems:
        raise DataError(problems)
    for place in np.flatnonzero(new_labels != dataset.labels).tolist():
        old, new = (own_names[int(each[place])] for each in (dataset.labels, new_labels))
        changes.append(Change(RENAME, object_place(dataset, place), old, new))
    dataset = without(replace(dataset, labels=new_labels), gone, REMOVE, changes)
    return _with_objects(dataset, added, changes), changes


def _with_objects(
    dataset: DetectionDataset, added: Sequence[tuple[int, int, Suspected]], changes: list[Change]
) -> DetectionDataset:
    """The data set with more objects, given as index of the image, label and row, after those that its images have."""
    if not added:
        return dataset
    images = np.array([index for index, _, _ in added])
    limit = dataset.sizes[images, ::-1]
    low = np.array([row.box[:2] for _, _, row in added])
    high = np.clip(low + np.array([row.box[2:] for _, _, row in added]), 0, limit)
    low = np.clip(low, 0, limit)
    boxes = np.concatenate([low, high - low], axis=1)
    changes += [
        Change(ADD, str(dataset.path(index)), "", f"{row.category} {shown_box(box)}")
        for (index, _, row), box in zip(added, boxes, strict=True)
    ]
    first = int(dataset.annotation_ids.max(initial=0)) + 1
    columns: dict[str, Any] = dict.fromkeys(OBJECT_COLUMNS, False) | {
        "boxes": boxes,
        "labels": [label for _, label, _ in added],
        "areas": boxes[:, 2] * boxes[:, 3],
        "empty": (boxes[:, 2:] <= 0).any(1),
        "annotation_ids": np.arange(first, first + len(added)),
    }
    ends = dataset.offsets[images + 1]
    counts = np.bincount(images, minlength=len(dataset))
    return replace(
        dataset,
        offsets=dataset.offsets + np.concatenate([[0], np.cumsum(counts)]),
        **{name: np.insert(getattr(dataset, name), ends, values, axis=0) for name, values in columns.items()},
    )


def _images(dataset: DetectionDataset) -> dict[tuple[int | str, str], int]:
    """The index of each image by its id and the name of its file."""
    return {(key, dataset.path(index).name): index for index, key in enumerate(dataset.image_ids)}


def _labels(dataset: DetectionDataset) -> dict[str, int]:
    """The label of each class by its name; of names that several classes have, with the id, as reports call them."""
    several = {name for name in dataset.names if dataset.names.count(name) > 1}
    named = zip(dataset.names, dataset.category_ids, strict=True)
    return {f"{name} [{key}]" if name in several else name: label for label, (name, key) in enumerate(named)}
