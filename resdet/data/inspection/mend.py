"""Mends what can be mended without a look at the photo; every change is noted. The data set itself stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resdet.data.dataset import OBJECT_COLUMNS, DetectionDataset, subset
from resdet.data.finding import fixes, limits, object_place
from resdet.data.formats.readings import (
    BOTH_ENDS,
    CONVENTIONS,
    ROUNDED,
    fractions,
    from_fractions,
    mistaken,
    no_fractions,
    reversed_boxes,
    turned_round,
    wrong_boxes,
)
from resdet.data.inspection.boxes import part_of, repeats
from resdet.data.inspection.classes import object_counts, same_names
from resdet.data.inspection.copies import later_copies
from resdet.data.inspection.looks import Looks
from resdet.data.inspection.off_by_one import off_by_one

Boxes = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Change(NamedTuple):
    """One change: the kind of the finding that it mends, what was changed, and how."""

    kind: str
    where: str
    before: str
    after: str


_GONE = "removed"


def mended(dataset: DetectionDataset, looks: Looks, kinds: Sequence[str] = ()) -> tuple[DetectionDataset, list[Change]]:
    """A copy of a data set without its findings of these kinds.

    Args:
        dataset: the data set.
        looks: what its images are like.
        kinds: of ``KINDS``; all when none are given.

    Returns:
        The mended data set, and what was changed.
    """
    changes: list[Change] = []
    wanted = set(kinds or KINDS)
    dataset = _read_partly(_read_otherwise(dataset, wanted, changes), set(kinds), changes)
    unusable = ~looks.usable
    if "image-unturned" in wanted:
        dataset = _turned(dataset, looks, changes)
        unusable &= ~looks.unturned
    gone = {"image-unusable": unusable, "image-twice": later_copies(dataset, looks)}
    kept = np.ones(len(dataset), bool)
    for kind, images in gone.items():
        if kind in wanted:
            changes += [Change(kind, str(dataset.path(int(index))), "", _GONE) for index in np.flatnonzero(images & kept)]
            kept &= ~images
    dataset = subset(dataset, np.flatnonzero(kept).tolist())
    if "class-names-same" in wanted:
        dataset = _joined_classes(dataset, changes)
    left = _unclear(dataset)
    if "boxes-off-by-one" in wanted:
        dataset = _moved(dataset, left, changes)
    if "box-reversed" in wanted:
        boxes = turned_round(dataset.boxes, float(dataset.convention.both_ends))
        dataset = _with_boxes(dataset, np.where(left[:, None], dataset.boxes, boxes), "box-reversed", changes)
    for kind, marked in _MARKED.items():
        if kind in wanted:
            rows = marked(dataset) & ~left
            dataset, left = without(dataset, rows, kind, changes), left[~rows]
    if "box-outside" in wanted:
        dataset = _clipped(dataset, left, changes)
    return dataset, changes


def _read_otherwise(dataset: DetectionDataset, kinds: set[str], changes: list[Change]) -> DetectionDataset:
    """The boxes in the convention that they were written in."""
    sizes, convention = limits(dataset), dataset.convention
    small = fractions(dataset.boxes, sizes)
    if small.any():
        if "boxes-as-fractions" not in kinds:
            return dataset
        boxes = dataset.boxes.copy()
        boxes[small] = from_fractions(boxes[small], sizes[small])
        return _with_boxes(dataset, boxes, "boxes-as-fractions", changes)
    rows, reading = no_fractions(dataset.boxes, sizes) if convention.centred else (np.zeros(len(sizes), bool), None)
    if not rows.any():
        rows[:] = True
        reading = None if convention.centred else reversed_boxes(dataset.boxes, sizes, cornered=convention.cornered)
        reading = reading or mistaken(dataset.boxes, sizes, centred=convention.centred)
    if reading is None or reading.kind not in kinds or reading.kind == "box-reversed":
        return dataset
    boxes = dataset.boxes.copy()
    if convention.both_ends and reading.kind in ("boxes-as-hundredths", "boxes-as-thousandths"):
        boxes += BOTH_ENDS
    boxes[rows] = reading.boxes(boxes[rows], sizes[rows])
    return _with_boxes(dataset, boxes, reading.kind, changes)


def _read_partly(dataset: DetectionDataset, kinds: set[str], changes: list[Change]) -> DetectionDataset:
    """The boxes of images that were written in another convention, where that kind was asked for by its name."""
    part = part_of(dataset)
    if part is None or part.reading.kind not in kinds:
        return dataset
    boxes = part.reading.boxes(dataset.boxes, limits(dataset))
    return _with_boxes(dataset, np.where(part.rows[:, None], boxes, dataset.boxes), part.reading.kind, changes)


def _unclear(dataset: DetectionDataset) -> Mask:
    """(N,): the boxes that were perhaps written in another way, and so are not clipped, turned or removed."""
    part = part_of(dataset)
    astray = np.zeros(len(dataset.boxes), bool) if part is None else part.astray
    rows = no_fractions(dataset.boxes, limits(dataset))[0] if dataset.convention.centred else np.zeros_like(astray)
    return np.asarray(astray | rows)


def left_alone(dataset: DetectionDataset) -> list[str]:
    """What ``mended`` did not mend, because it may be meant in two ways: how much, why, where, and what does it."""
    part = part_of(dataset)
    if part is None:
        return []
    where = object_place(dataset, int(part.astray.argmax()))
    return [f"left as they are: {part.told}: {where}; {fixes(part.reading.kind, 'reads those images so')}"]


def _moved(dataset: DetectionDataset, left: Mask, changes: list[Change]) -> DetectionDataset:
    """All boxes moved by the pixel that they are off by, where that is sure."""
    found = off_by_one(dataset, ~dataset.empty & ~left)
    if found is None or found.boxes is None:
        return dataset
    return _with_boxes(dataset, found.boxes, "boxes-off-by-one", changes)


def unmended(dataset: DetectionDataset) -> list[str]:
    """What is still wrong with boxes that readers refuse."""
    sizes = limits(dataset)
    part = part_of(dataset)
    if part is not None and (np.logical_or(*wrong_boxes(dataset.boxes, sizes)) & part.astray).any():
        return left_alone(dataset)
    rows = no_fractions(dataset.boxes, sizes)[0] if dataset.convention.centred else np.zeros(len(sizes), bool)
    if rows.any():
        text = "lines hold no fractions, and may be pixels or hundredths of the sides: write them as fractions"
        return [f"{object_place(dataset, int(rows.argmax()))}: {rows.sum()} {text}"]
    masks = zip(("box-reversed", "box-wholly-outside"), wrong_boxes(dataset.boxes, sizes), strict=True)
    return [
        f"{object_place(dataset, int(np.flatnonzero(mask)[0]))}: {int(mask.sum())} boxes cannot be written; add --kinds {kind}"
        for kind, mask in masks
        if mask.any()
    ]


def _turned(dataset: DetectionDataset, looks: Looks, changes: list[Change]) -> DetectionDataset:
    """The sizes and boxes of images that are annotated as they lie stored, as they are upright."""
    boxes, sizes = dataset.boxes.copy(), dataset.sizes.copy()
    for index in np.flatnonzero(looks.unturned).tolist():
        rows = slice(dataset.offsets[index], dataset.offsets[index + 1])
        boxes[rows] = upright_boxes(boxes[rows], dataset.size(index), looks.turns[index])
        sizes[index] = sizes[index, ::-1]
    return replace(_with_boxes(dataset, boxes, "image-unturned", changes), sizes=sizes)


def upright_boxes(boxes: Boxes, size: tuple[int, int], turn: Image.Transpose | None) -> Boxes:
    """Boxes (N, 4) ``x, y, width, height`` of an image of ``size`` (height, width), in the image that ``turn`` makes of it.

    Raises:
        ValueError: when the turn does not exchange width and height.
    """
    x, y, w, h = boxes.T
    right, bottom = size[1] - x - w, size[0] - y - h
    places = {
        Image.Transpose.TRANSPOSE: (y, x),
        Image.Transpose.TRANSVERSE: (bottom, right),
        Image.Transpose.ROTATE_90: (y, right),  # counter-clockwise
        Image.Transpose.ROTATE_270: (bottom, x),
    }
    if turn not in places:
        raise ValueError(f"the turn must exchange width and height, got {turn}")
    return np.stack([*places[turn], h, w], axis=1)


def _clipped(dataset: DetectionDataset, left: Mask, changes: list[Change]) -> DetectionDataset:
    sizes = limits(dataset)
    low = np.clip(dataset.boxes[:, :2], 0, sizes)
    high = np.clip(dataset.boxes[:, :2] + dataset.boxes[:, 2:], 0, sizes)
    boxes = np.concatenate([low, high - low], axis=1)
    inside = np.abs(boxes - dataset.boxes).max(1, initial=0) < ROUNDED  # as in the finding
    kept = left | inside | np.logical_or(*wrong_boxes(dataset.boxes, sizes))
    return _with_boxes(dataset, np.where(kept[:, None], dataset.boxes, boxes), "box-outside", changes)


def _with_boxes(dataset: DetectionDataset, boxes: Boxes, kind: str, changes: list[Change]) -> DetectionDataset:
    """The data set with other boxes; areas that were those of the boxes are so afterwards."""
    changed = (boxes != dataset.boxes).any(1)
    changes += [
        Change(kind, object_place(dataset, row), shown_box(dataset.boxes[row]), shown_box(boxes[row]))
        for row in np.flatnonzero(changed).tolist()
    ]
    own = dataset.areas == dataset.boxes[:, 2] * dataset.boxes[:, 3]
    areas = np.where(own, boxes[:, 2] * boxes[:, 3], dataset.areas)
    return replace(dataset, boxes=boxes, areas=areas, empty=np.where(changed, (boxes[:, 2:] <= 0).any(1), dataset.empty))


def without(dataset: DetectionDataset, rows: Mask, kind: str, changes: list[Change]) -> DetectionDataset:
    """The data set without the objects of the mask ``rows`` (N,)."""
    changes += [
        Change(kind, object_place(dataset, row), shown_box(dataset.boxes[row]), _GONE) for row in np.flatnonzero(rows).tolist()
    ]
    offsets = np.concatenate([[0], np.cumsum(~rows)])[dataset.offsets]
    return replace(dataset, offsets=offsets, **{name: getattr(dataset, name)[~rows] for name in OBJECT_COLUMNS})


def _joined_classes(dataset: DetectionDataset, changes: list[Change]) -> DetectionDataset:
    """Classes whose names are the same but for case and signs become the one of them that has most objects."""
    counts = object_counts(dataset)
    becomes = np.arange(len(dataset.names))
    for first, second in same_names(dataset.names):
        a, b = becomes[first], becomes[second]
        more, fewer = (a, b) if counts[a] >= counts[b] else (b, a)
        becomes[becomes == fewer] = more
    kept = [label for label in range(len(dataset.names)) if becomes[label] == label]
    for label in np.flatnonzero(becomes != np.arange(len(becomes))).tolist():
        new = dataset.names[becomes[label]]
        changes.append(Change("class-names-same", f"{dataset.source}: {counts[label]} objects", dataset.names[label], new))
    place = {label: number for number, label in enumerate(kept)}
    return replace(
        dataset,
        names=tuple(dataset.names[label] for label in kept),
        category_ids=tuple(dataset.category_ids[label] for label in kept),
        labels=np.array([place[becomes[label]] for label in dataset.labels.tolist()], np.int64),
    )


def counts_of(changes: Sequence[Change]) -> dict[str, int]:
    """How many changes there are of each kind."""
    return dict(Counter(change.kind for change in changes))


def shown_box(box: Boxes) -> str:
    """A box (4,) in a table of changes: its numbers with spaces between."""
    return " ".join(f"{value:g}" for value in box)


_MARKED: dict[str, Callable[[DetectionDataset], Mask]] = {
    "box-wholly-outside": lambda dataset: wrong_boxes(dataset.boxes, limits(dataset))[1],
    "box-without-area": lambda dataset: dataset.empty,
    "box-of-one-pixel": lambda dataset: (dataset.boxes[:, 2:].min(1, initial=np.inf) <= 1) & ~dataset.empty,
    "object-twice": lambda dataset: repeats(dataset)[0],
    "object-nearly-twice": lambda dataset: repeats(dataset)[1],
}
KINDS = (
    *CONVENTIONS,
    "image-unturned",
    "image-unusable",
    "image-twice",
    "class-names-same",
    "boxes-off-by-one",
    "box-reversed",
    *_MARKED,
    "box-outside",
)
