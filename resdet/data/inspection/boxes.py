"""Findings about boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.finding import Finding, about_objects, fixes, limits, object_place
from resdet.data.formats.readings import ROUNDED, fractions, mistaken

_FEW = 3  # boxes that stop a pixel outside the image; fewer are chance
_MANY = 8  # boxes that stop a pixel inside the image where none reaches its edge
_SPIKE = 3  # … and so many times more than stop a pixel further inside
_BLOCK = 256  # objects that are compared with all others of their image at once
_NEAR = 0.01  # pixels: what fractions written with six digits are off by


def box_findings(dataset: DetectionDataset, *, centred: bool = False) -> list[Finding]:
    """All findings about the boxes of a data set. Boxes that one cause explains are not told of again.

    Args:
        dataset: the data set.
        centred: its files hold the centres of boxes, as YOLO's do.
    """
    if found := convention_findings(dataset, centred=centred):
        return found
    small = fractions(dataset.boxes, limits(dataset))
    shifted = _off_by_one(dataset)
    return [
        *_fractions(dataset, small),
        *(shifted or _outside(dataset, small)),
        *_without_area(dataset),
        *_of_one_pixel(dataset, small),
        *_repeated(dataset),
    ]


def convention_findings(dataset: DetectionDataset, *, centred: bool = False) -> list[Finding]:
    """That most boxes were written in another convention; arguments are those of ``box_findings``."""
    small = fractions(dataset.boxes, limits(dataset))
    if small.sum() > len(small) / 2:
        return _fractions(dataset, small)
    if reading := mistaken(dataset.boxes, limits(dataset), centred=centred):
        told = f"{{count}} of {len(dataset.boxes)} boxes leave their images, and all lie inside when read as {reading.text}"
        if reading.sign:
            told = f"{{count}} boxes seem to be {reading.text}, for of their numbers {reading.sign}"
        rows = (_overshoot(dataset) > _NEAR) | bool(reading.sign)
        return about_objects(reading.kind, dataset, rows, told, fixes(reading.kind, "reads them so"))
    return []


def _fractions(dataset: DetectionDataset, small: NDArray[np.bool_]) -> list[Finding]:
    message = "{count} boxes lie within the first pixel of their images (fractions of the image, read as pixels?)"
    remedy = fixes("boxes-as-fractions", "multiplies them by the image's sides")
    return about_objects("boxes-as-fractions", dataset, small, message, remedy)


def _outside(dataset: DetectionDataset, small: NDArray[np.bool_]) -> list[Finding]:
    """Boxes that reach out of their images; one cause of its own explains those of ``_off_by_one``."""
    overshoot = _overshoot(dataset)
    rows = (overshoot >= ROUNDED) & ~dataset.empty & ~small
    if not rows.any():
        return []
    row = int(np.where(rows, overshoot, 0).argmax())
    count = int(rows.sum())
    message = f"{count} boxes reach out of their images and were clipped, by {overshoot[row]:.3g} pixels at most"
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


def _off_by_one(dataset: DetectionDataset) -> list[Finding]:
    """Boxes whose edges stop a pixel before or behind the images' edges, as those of a file that counts pixels otherwise."""
    boxes, sizes = dataset.boxes[~dataset.empty], limits(dataset)[~dataset.empty]
    rows = np.flatnonzero(~dataset.empty)
    begins, ends = boxes[:, :2], sizes - boxes[:, :2] - boxes[:, 2:]
    for distance, out, within in (
        (begins, "begin a pixel before the first", "begin at the second pixel, and none at the first"),
        (ends, "end a pixel behind the last", "end a pixel before the last, and none at it"),
    ):
        stops = [np.abs(distance - step) < _NEAR for step in (-1, 0, 1, 2)]
        outside, edge, inside, further = (int(stop.any(1).sum()) for stop in stops)
        beyond = int((distance < -1 - _NEAR).any(1).sum())
        if outside >= _FEW and not beyond and outside == int((distance < -_NEAR).any(1).sum()):
            count, text, stop = outside, out, stops[0]
        elif edge == 0 and outside == 0 and inside >= max(_MANY, _SPIKE * max(further, 1)):
            count, text, stop = inside, within, stops[2]
        else:
            continue
        where = object_place(dataset, int(rows[stop.any(1).argmax()]))
        message = f"{count} boxes {text} (do the files count pixels in another way?)"
        return [Finding("boxes-off-by-one", where, count, message, "compare with `resdet data view`")]
    return []


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


def _overshoot(dataset: DetectionDataset) -> NDArray[np.float64]:
    """(N,): by how many pixels each box reaches out of its image, at most; not above 0 when it lies inside."""
    ends = dataset.boxes[:, :2] + dataset.boxes[:, 2:]
    found: NDArray[np.float64] = np.maximum(-dataset.boxes[:, :2], ends - limits(dataset)).max(1, initial=-np.inf)
    return found
