"""What looks like mistakes of the annotation, as a list for people and as a file for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.diagnosis import BACKGROUND, CLASS, Diagnosis
from resdet.evaluation.ground_truth import GroundTruth, Integers
from resdet.report.html.blocks import Gallery, Look, Section, Table, Text

SURE = 0.5  # the least score of a sure detection
MOST_LISTED = 200  # on the page


class Suspicion(NamedTuple):
    """What looks like a mistake of the annotation.

    Attributes:
        kind: "no box": a sure detection where nothing is annotated; "another class": a sure detection of another class on an
            object; "never found": an object that no detection of any class and score goes with.
        image: index into the ground truth's images.
        category: index into its classes: of the detection, or of the object that is never found.
        object: index of the object that it is about; -1 for "no box".
        score: of the detection; None for "never found".
        box: ``x, y, width, height``, pixels: of the detection, or of the object that is never found.
    """

    kind: str
    image: int
    category: int
    object: int
    score: float | None
    box: list[float]


def suspicions(truth: GroundTruth, found: DetectionColumns, diagnosis: Diagnosis) -> list[Suspicion]:
    """What looks like mistakes of the annotation: sure detections, surest first, then objects never found, largest first.

    A detection is sure from the score on that gives the best F1 of all classes together, and from 0.5 on at least.
    """
    sure = found.scores >= max(diagnosis.score, SURE)
    rows = np.flatnonzero(sure & np.isin(diagnosis.kind, (BACKGROUND, CLASS)))
    listed = []
    for row in rows[np.argsort(-found.scores[rows], kind="stable")].tolist():
        near = int(diagnosis.nearest[row]) if diagnosis.kind[row] == CLASS else -1
        kind = "no box" if near < 0 else "another class"
        box, score = found.boxes[row].tolist(), float(found.scores[row])
        listed.append(Suspicion(kind, int(found.image[row]), int(found.category[row]), near, score, box))
    touched = np.zeros(len(truth.boxes), dtype=np.bool_)
    touched[diagnosis.nearest[diagnosis.nearest >= 0]] = True
    lost = np.flatnonzero(~touched & ~truth.difficult)
    largest = lost[np.argsort(-truth.area[lost], kind="stable")].tolist()
    places = ((row, int(truth.image[row]), int(truth.category[row]), truth.boxes[row].tolist()) for row in largest)
    listed += [Suspicion("never found", image, category, row, None, box) for row, image, category, box in places]
    return listed


def suspicion_rows(
    listed: Sequence[Suspicion], truth: GroundTruth, files: Sequence[str], annotation_ids: Integers
) -> list[dict[str, Any]]:
    """The rows of ``label_suspicions.json``; ``files`` are those of the ground truth's images, the ids those of its objects."""
    return [
        {
            "kind": each.kind,
            "image_id": truth.image_ids[each.image],
            "file": files[each.image],
            "category": truth.names[each.category],
            "annotated": None if each.object < 0 else truth.names[truth.category[each.object]],
            "annotation_id": None if each.object < 0 else int(annotation_ids[each.object]),
            "score": each.score,
            "bbox": each.box,
        }
        for each in listed
    ]


def suspicion_section(listed: Sequence[Suspicion], truth: GroundTruth, gallery: Gallery) -> Section:
    """The list, with the way to the pictures that are in the gallery."""
    places = {picture.place: number for number, picture in enumerate(gallery.pictures)}
    rows = [
        [
            Look(gallery.pictures[places[each.image]].name, places[each.image]),
            each.kind,
            truth.names[each.category],
            "–" if each.object < 0 else truth.names[truth.category[each.object]],
            each.score,
            " × ".join(f"{side:.0f}" for side in each.box[2:]),
        ]
        for each in listed
        if each.image in places
    ]
    counts = {kind: sum(each.kind == kind for each in listed) for kind in ("no box", "another class", "never found")}
    text = (
        f"Sure detections where nothing is annotated ({counts['no box']:,}) or another class is ({counts['another class']:,}), "
        f"and annotated objects that no detection goes with ({counts['never found']:,}). Many are mistakes of the detector, "
        "some are mistakes of the annotation: look before you change anything. All are in label_suspicions.json."
    )
    header = ["picture", "what", "class", "annotated as", "score", "pixels"]
    caption = f"The first {MOST_LISTED} of {len(listed):,}" if len(listed) > MOST_LISTED else "Suspected labels"
    return Section("Suspected labels", [Text(text), Table(caption, header, rows[:MOST_LISTED])])
