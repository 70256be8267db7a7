"""The gallery of a detector's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resdet.data.dataset import DetectionDataset
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.diagnosis import KINDS, LEFT_OUT, RIGHT, Diagnosis, rows_by_image
from resdet.evaluation.ground_truth import Floats, GroundTruth, Integers
from resdet.report.html.blocks import Found, Gallery, Picture, Truth
from resdet.report.html.pictures import notes_on, shown_pictures, worst_first

FLOOR = 0.05  # detections of a lower score are not on the page
MOST_FOUND = 30  # detections of a picture
_SIZES = (32**2, 96**2)  # square pixels: the ends of COCO's small and medium


def errors_of_images(truth: GroundTruth, found: DetectionColumns, diagnosis: Diagnosis) -> Integers:
    """How many errors each image has at the diagnosis' score: wrong detections and missed objects."""
    images = len(truth.image_ids)
    wrong = (found.scores >= diagnosis.score) & ~np.isin(diagnosis.kind, (RIGHT, LEFT_OUT))
    missed = ~truth.crowd & ~(diagnosis.found_at >= diagnosis.score)
    return np.bincount(found.image[wrong], minlength=images) + np.bincount(truth.image[missed], minlength=images)


def detection_gallery(
    dataset: DetectionDataset,
    truth: GroundTruth,
    found: DetectionColumns,
    diagnosis: Diagnosis,
    folder: Path,
    before: tuple[DetectionColumns, Diagnosis] | None = None,
    runs: Sequence[str] = (),
) -> Gallery:
    """The pictures of a data set with their objects and detections.

    Args:
        dataset: the pictures.
        truth: the ground truth of ``dataset``.
        found: the detections on it.
        diagnosis: the diagnosis of these.
        folder: the folder of the page.
        before: the detections of another run and their diagnosis, in a comparison.
        runs: the names of the other run and of this one.
    """
    order = np.argsort(dataset.ids).tolist()  # the place of each image of the ground truth in the data set
    chosen = worst_first(errors_of_images(truth, found, diagnosis).tolist())
    shown = shown_pictures(
        chosen, lambda image: dataset.path(order[image]), lambda image: dataset.load(order[image])[0], folder
    )
    objects = rows_by_image(truth.image, len(truth.image_ids))
    rows = rows_by_image(found.image, len(truth.image_ids))
    others = rows_by_image(before[0].image, len(truth.image_ids)) if before else rows
    pictures = []
    for each in shown:
        own, image = objects[each.place], each.place
        width, height = truth.sizes[image].tolist()
        pictures.append(
            Picture(
                image,
                each.name,
                each.link,
                int(width),
                int(height),
                each.thumbnail,
                [_truth(truth, row, diagnosis.found_at, before[1].found_at if before else None) for row in own.tolist()],
                _found(found, diagnosis.kind, rows[image]),
                _found(before[0], before[1].kind, others[image]) if before else None,
            )
        )
    notes = [
        *notes_on(shown, len(truth.image_ids)),
        f"Detections with a score below {FLOOR:g}, and those after the {MOST_FOUND} best of a picture, are not on this page.",
    ]
    return Gallery(pictures, truth.names, KINDS, diagnosis.score, notes=notes, runs=runs)


def size_of(area: float) -> int:
    """0 small, 1 medium, 2 large, as COCO says, of an area in square pixels."""
    return sum(area > end for end in _SIZES)


def _truth(truth: GroundTruth, row: int, found_at: Floats, before: Floats | None) -> Truth:
    scores = [None if each is None or np.isnan(each[row]) else float(each[row]) for each in (found_at, before)]
    size, box = size_of(float(truth.area[row])), truth.boxes[row].tolist()
    return Truth(int(truth.category[row]), scores[0], bool(truth.crowd[row]), size, box, scores[1])


def _found(found: DetectionColumns, kind: Integers, rows: Integers) -> list[Found]:
    kept = rows[found.scores[rows] >= FLOOR]
    best = kept[np.argsort(-found.scores[kept], kind="stable")][:MOST_FOUND]
    return [
        Found(
            int(found.category[row]),
            float(found.scores[row]),
            int(kind[row]),
            size_of(float(found.boxes[row, 2] * found.boxes[row, 3])),
            found.boxes[row].tolist(),
        )
        for row in best.tolist()
    ]
