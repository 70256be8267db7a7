"""Findings about boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.finding import Finding, about_objects, fixes, folders, limits, object_place, overshoot, owners
from resdet.data.formats.misread import Part, misread_part
from resdet.data.formats.readings import ROUNDED, fractions, mistaken
from resdet.data.inspection.off_by_one import off_by_one

_BLOCK = 256  # objects that are compared with all others of their image at once
_NEAR = 0.01  # pixels: what fractions written with six digits are off by


def box_findings(dataset: DetectionDataset) -> list[Finding]:
    """All findings about the boxes of a data set. Boxes that one cause explains are not told of again."""
    if found := convention_findings(dataset):
        return found
    small = fractions(dataset.boxes, limits(dataset))
    part = part_of(dataset)
    explained = np.zeros(len(small), bool) if part is None else part.astray
    shifted = _off_by_one(dataset, ~dataset.empty & ~explained)
    return [
        *_fractions(dataset, small),
        *_partly(dataset, part),
        *(shifted or _outside(dataset, small | explained)),
        *_without_area(dataset),
        *_of_one_pixel(dataset, small),
        *_repeated(dataset),
    ]


def convention_findings(dataset: DetectionDataset) -> list[Finding]:
    """That most boxes were written in another convention."""
    small = fractions(dataset.boxes, limits(dataset))
    if small.sum() > len(small) / 2:
        return _fractions(dataset, small)
    if reading := mistaken(dataset.boxes, limits(dataset), centred=dataset.convention.centred):
        told = f"{{count}} of {len(dataset.boxes)} boxes leave their images, and all lie inside when read as {reading.text}"
        if reading.sign:
            told = f"{{count}} boxes seem to be {reading.text}, for of their numbers {reading.sign}"
        rows = (overshoot(dataset) > _NEAR) | bool(reading.sign)
        return about_objects(reading.kind, dataset, rows, told, fixes(reading.kind, "reads them so"))
    return []


def part_of(dataset: DetectionDataset) -> Part | None:
    """The images whose boxes were written in another convention than the rest."""
    return misread_part(dataset.boxes, limits(dataset), owners(dataset), dataset.convention, folders(dataset))


def _partly(dataset: DetectionDataset, part: Part | None) -> list[Finding]:
    if part is None:
        return []
    remedy = f"look at them with `resdet data view`; {fixes(part.reading.kind, 'reads those images so')}"
    return about_objects(part.reading.kind, dataset, part.astray, part.told, remedy)


def _fractions(dataset: DetectionDataset, small: NDArray[np.bool_]) -> list[Finding]:
    message = "{count} boxes lie within the first pixel of their images (fractions of the image, read as pixels?)"
    remedy = fixes("boxes-as-fractions", "multiplies them by the image's sides")
    return about_objects("boxes-as-fractions", dataset, small, message, remedy)


def _outside(dataset: DetectionDataset, other: NDArray[np.bool_]) -> list[Finding]:
    """Boxes that reach out of their images, but for those that have an ``other`` cause."""
    reach = overshoot(dataset)
    rows = (reach >= ROUNDED) & ~dataset.empty & ~other
    if not rows.any():
        return []
    row = int(np.where(rows, reach, 0).argmax())
    count = int(rows.sum())
    message = f"{count} boxes reach out of their images and were clipped, by {reach[row]:.3g} pixels at most"
    return [
        Finding("box-outside", object_place(dataset, row), count, message, fixes("box-outside", "clips them in the files too"))
    ]


def _without_area(dataset: DetectionDataset) -> list[Finding]:
    message = "{count} boxes without area are left out of training, the first"
    return about_objects("box-without-area", dataset, dataset.empty, message, fixes("box-without-area", "removes them"))


def _of_one_pixel(dataset: DetectionDataset, small: NDArray[np.bool_]) -> list[Finding]:
    rows = (dataset.boxes[:, 2:].min(1, initial=np.inf) <= 1) & ~dataset.empty & ~small
    message = "{count} boxes are a pixel wide or high at most (VOC's xmin = xmax is one pixel; clicks in place of boxes?)"
    return about_objects(
        "box-of-one-pixel", dataset, rows, message, f"draw them again, or {fixes('box-of-one-pixel', 'removes them')}"
    )


def _off_by_one(dataset: DetectionDataset, among: NDArray[np.bool_]) -> list[Finding]:
    found = off_by_one(dataset, among)
    if found is None:
        return []
    remedy = fixes("boxes-off-by-one", f"moves all: {found.how}")
    if found.boxes is None:
        remedy = f"compare with `resdet data view`; if all boxes are off so, write them anew: {found.how}"
    message = f"{{count}} boxes {found.text} (do the files count pixels in another way?)"
    return about_objects("boxes-off-by-one", dataset, found.rows, message, remedy)


def _repeated(dataset: DetectionDataset) -> list[Finding]:
    """Objects that are in the files twice; of boxes with two classes the network can learn neither well."""
    twice, nearly, two_classes = repeats(dataset)
    return [
        *about_objects(
            "object-twice",
            dataset,
            twice,
            "{count} objects repeat another of the same class and box",
            fixes("object-twice", "removes them"),
        ),
        *about_objects(
            "object-nearly-twice",
            dataset,
            nearly,
            "{count} objects overlap another of the same class by an IoU of 0.95 or more (labelled twice?)",
            fixes("object-nearly-twice", "removes them"),
        ),
        *about_objects(
            "box-of-two-classes",
            dataset,
            two_classes,
            "{count} objects have the box of another class's object",
            "remove one of each pair in the labelling tool; `resdet data view` shows them",
        ),
    ]


def repeats(dataset: DetectionDataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Three masks (N,) of objects after an earlier one of their image, crowds left out.

    Returns:
        Those of equal class and box; those of equal class and an IoU of 0.95 or more; those of equal box and another class.
    """
    twice, nearly, two_classes = (np.zeros(len(dataset.boxes), bool) for _ in range(3))
    for first, last in zip(dataset.offsets[:-1].tolist(), dataset.offsets[1:].tolist(), strict=True):
        rows = first + np.flatnonzero(~dataset.crowd[first:last])
        if len(rows) < 2:
            continue
        boxes, labels = dataset.boxes[rows], dataset.labels[rows]
        for start in range(0, len(rows), _BLOCK):  # an image may have thousands of objects
            some = slice(start, start + _BLOCK)
            earlier = np.arange(len(rows))[some, None] > np.arange(len(rows))
            same_class = labels[some, None] == labels
            same_box = np.abs(boxes[some, None] - boxes).max(2) < _NEAR
            alike = _iou(boxes[some], boxes) >= 0.95
            twice[rows[some]] = (earlier & same_class & same_box).any(1)
            nearly[rows[some]] = (earlier & same_class & ~same_box & alike).any(1)
            two_classes[rows[some]] = (earlier & ~same_class & same_box).any(1)
    return twice, nearly & ~twice, two_classes & ~twice


def _iou(some: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S, N) of boxes ``x, y, width, height``; 0 for boxes without area."""
    ends = np.minimum((some[:, :2] + some[:, 2:])[:, None], boxes[:, :2] + boxes[:, 2:])
    common = np.clip(ends - np.maximum(some[:, None, :2], boxes[:, :2]), 0, None).prod(2)
    areas = some[:, 2:].prod(1)[:, None] + boxes[:, 2:].prod(1) - common
    found: NDArray[np.float64] = common / np.maximum(areas, 1e-9)
    return found
