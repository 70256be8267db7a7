"""The sections of a localizer's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resdet.data.localization import UNLABELLED, LocalizedImages
from resdet.errors import DataError
from resdet.evaluation.ground_truth import distinct_names
from resdet.evaluation.localization import GUESSES, IOU, Guesses, Localization, LocalizationHits, localization_hits
from resdet.files import read_json
from resdet.ops.iou import box_iou
from resdet.report.html.blocks import Chart, Charts, Found, Gallery, Number, Picture, Section, Table, Text, Truth, View
from resdet.report.html.pictures import notes_on, shown_pictures, worst_first

KINDS = ("right", "wrong box", "wrong class", "left out")
_BINS = 20
_COLUMNS = {
    "images": "images",
    "gt_class_loc_error": "error, class given",
    "top1_loc_error": "top-1 error",
    "top5_loc_error": "top-5 error",
    "mean_iou": "mean IoU",
}


def localization_values(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers of ``metrics.json`` that stand in the summary, by name."""
    names = {
        "gt_class_loc_error": "error, class given",
        "top1_loc_error": "top-1 localization error",
        "top5_loc_error": "top-5 localization error",
        "mean_iou": "mean IoU, class given",
    }
    return {text: metrics[name] for name, text in names.items() if metrics.get(name) is not None}


def read_localizations(path: Path, names: Sequence[str], images: int) -> list[Localization]:
    """Read a ``predictions.json`` of a localizer.

    Raises:
        DataError: when it cannot be read, or is of other classes or another number of images.
    """
    labels = {name: label for label, name in reversed(list(enumerate(names)))}
    try:
        found = [_localization(row, labels) for row in read_json(path)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: must hold the localizations of these {len(names)} classes, got {error!r}") from error
    if len(found) != images:
        raise DataError(f"{path}: must hold a row for each of {images} images, got {len(found)}")
    return found


def localization_sections(metrics: Mapping[str, Any], hits: LocalizationHits) -> list[Section]:
    """The distribution of IoUs, the causes of errors, and the classes."""
    classes = metrics.get("per_class", {})
    columns = [name for name in _COLUMNS if any(each.get(name) is not None for each in classes.values())]
    rows = [[name, *(each.get(column) for column in columns)] for name, each in classes.items()]
    sections = [Section("Classes", [Table("By class", ["class", *(_COLUMNS[name] for name in columns)], rows)])]
    overlap = hits.overlap[~np.isnan(hits.overlap)]
    if len(overlap):
        sections.insert(0, _overlaps(overlap))
    causes = [
        [f"first {count} guesses" if count > 1 else "first guess", *(errors.get(name) for name in ("wrong_class", "wrong_box"))]
        for count in (1, GUESSES)
        if (errors := metrics.get("errors", {}).get(f"top{count}", {})).get("wrong_class") is not None
    ]
    if causes:
        text = f"A guess is right when its class is right and its box has an IoU of {IOU:g} or more with an object of it."
        table = Table("Shares of the images by their error", ["", "wrong class", "right class, wrong box"], causes)
        sections.insert(1, Section("Errors", [Text(text), table]))
    return sections


def localization_numbers(hits: LocalizationHits) -> list[Number]:
    """Counts."""
    return [Number("images", f"{len(hits.labelled):,}", f"{int(hits.boxed.sum()):,} have a box")]


def hits_of(found: Sequence[Localization], dataset: LocalizedImages) -> LocalizationHits:
    """The output of a localizer against the ground truth of ``dataset``."""
    return localization_hits(found, dataset.labels.tolist(), [dataset.boxes(index) for index in range(len(dataset))])


def localization_gallery(
    dataset: LocalizedImages,
    found: Sequence[Localization],
    folder: Path,
    before: Sequence[Localization] | None = None,
    runs: Sequence[str] = (),
) -> Gallery:
    """The pictures with their objects and the first guess, or else the box of their own class; its score is the IoU.

    Args:
        dataset: the pictures.
        found: what was found on them.
        folder: the folder of the page.
        before: what another run found on them, in a comparison.
        runs: the names of the other run and of this one.
    """
    said = [_said(each, dataset, index) for index, each in enumerate(found)]
    others = [_said(each, dataset, index) for index, each in enumerate(before)] if before is not None else None
    errors = [2 - each[0].score if each and each[0].kind else 0.0 for each in said]
    shown = shown_pictures(worst_first(errors), dataset.path, dataset.load, folder)
    pictures = []
    for each in shown:
        now, then = said[each.place], others[each.place] if others else None
        label, scores = int(dataset.labels[each.place]), (_at(now), _at(then))
        truth = [
            # a picture may hold several objects of its class, of which one is to be found
            Truth(label, scores[0], place > 0, 0, _xywh(box), scores[1])
            for place, box in enumerate(dataset.boxes(each.place).tolist())
        ]
        pictures.append(Picture(*each, truth if label != UNLABELLED else [], now, then))
    names = distinct_names(dataset.names, range(len(dataset.names)))
    notes = notes_on(shown, len(dataset))
    return Gallery(pictures, names, KINDS, 0.0, notes, runs, "IoU", {"farthest": "farthest box first"}, single=True)


def _at(said: Sequence[Found] | None) -> float | None:
    """The IoU of a right box; None when it is wrong."""
    return said[0].score if said and said[0].kind == 0 else None


def _said(found: Localization, dataset: LocalizedImages, index: int) -> list[Found]:
    label, truth = int(dataset.labels[index]), dataset.boxes(index)
    guessed = found.guesses is not None and len(found.guesses.labels) > 0
    if guessed and found.guesses is not None:
        own, box = int(found.guesses.labels[0]), found.guesses.boxes[0]
    elif found.box is not None:
        own, box = label, found.box
    else:
        return []
    overlap = float(box_iou(box[None].double(), truth.double()).max()) if len(truth) else 0.0
    kind = KINDS.index("left out" if label == UNLABELLED else "wrong class" if own != label else "wrong box")
    return [Found(own, overlap, 0 if own == label and overlap >= IOU else kind, 0, _xywh(box.tolist()))]


def _overlaps(overlap: Any) -> Section:
    counts, edges = np.histogram(overlap, _BINS, (0, 1))
    bars = [(float(low), float(high), float(count)) for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)]
    right = float((overlap >= IOU).mean())
    chart = Chart(
        "IoU of the boxes, with the class given",
        "IoU with the nearest object of the class",
        "images",
        {"": View(bars=bars, mark=IOU, mark_text=f"right from {IOU:g} on")},
        f"The median is {float(np.median(overlap)):.3f}; {right:.1%} of the boxes are right.",
        (0, 1),
    )
    return Section("IoU", [Charts([chart])])


def _localization(row: Mapping[str, Any], labels: Mapping[str, int]) -> Localization:
    guesses = None
    if row["guesses"] is not None:
        known = [labels[guess["class"]] for guess in row["guesses"]]
        boxes = torch.tensor([guess["box"] for guess in row["guesses"]], dtype=torch.float32).reshape(-1, 4)
        guesses = Guesses(torch.tensor(known, dtype=torch.int64), boxes)
    box = None if row["box"] is None else torch.tensor(row["box"], dtype=torch.float32)
    return Localization(guesses, box, float(row["score"] or 0))


def _xywh(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]
