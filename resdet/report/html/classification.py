"""The sections of a classifier's page.

Legend: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resdet.evaluation.calibration import calibrate
from resdet.evaluation.confusion import confusion_matrix, most_confused
from resdet.evaluation.ground_truth import Integers, distinct_names
from resdet.evaluation.predictions import Predictions
from resdet.report.html.blocks import Block, Found, Gallery, Matrix, Number, Picture, Section, Table, Text, Truth
from resdet.report.html.detection import MOST_CLASSES, calibration_chart
from resdet.report.html.pictures import notes_on, shown_pictures, worst_first

KINDS = ("right", "true class among the best five", "true class not among the best five", "left out")
_BEST = 5
_KINDS_OF_FEW = ("right", "another class", "left out")  # of five classes or fewer all are among the best five


def classification_values(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers of ``metrics.json`` that stand in the summary, by name."""
    names = {
        "top1_error": "top-1 error",
        "top5_error": "top-5 error",
        "ece": "calibration error",
        "nll": "log-loss, nats",
    }
    return {text: metrics[name] for name, text in names.items() if name in metrics}


def classification_numbers(predictions: Predictions) -> list[Number]:
    """Counts."""
    wrong = int((predictions.probabilities.argmax(1) != predictions.labels).sum())
    return [Number("images", f"{len(predictions.labels):,}", f"{wrong:,} of them wrong")]


def classification_sections(predictions: Predictions) -> list[Section]:
    """Classes, confusions and calibration."""
    names = distinct_names(predictions.names, range(len(predictions.names)))
    counts = confusion_matrix(predictions.probabilities, predictions.labels)
    calibration = calibrate(predictions.probabilities, predictions.labels)
    error = calibration.error
    text = (
        "A classifier is calibrated when, of the images that it is 80 % sure of, four in five are right. The expected "
        f"calibration error is {'–' if error is None else f'{error:.3f}'}."
    )
    return [
        Section("Classes", [Table("By class; precision is of the images that are said to be of it", *_classes(names, counts))]),
        Section("Confusion", _confusions(names, counts)),
        Section("Calibration", [Text(text), calibration_chart(calibration, "confidence", "images")]),
    ]


def classification_gallery(
    predictions: Predictions,
    path: Callable[[int], Path],
    load: Callable[[int], Image.Image],
    folder: Path,
    before: Predictions | None = None,
    runs: Sequence[str] = (),
) -> Gallery:
    """The pictures with their true class and the one that is said.

    Args:
        predictions: what is said of them.
        path: see ``shown_pictures``.
        load: the same.
        folder: the folder of the page.
        before: what another run says of them, in a comparison.
        runs: the names of the other run and of this one.
    """
    said, others = _said(predictions), _said(before) if before else None
    errors = [1 + each.score if each.kind else 0.0 for each in said]
    shown = shown_pictures(worst_first(errors), path, load, folder)
    pictures = []
    for each in shown:
        label = int(predictions.labels[each.place])
        truth = Truth(label, _at(said, each.place), False, 0, (), _at(others, each.place))
        pictures.append(Picture(*each, [truth], [said[each.place]], [others[each.place]] if others else None))
    names, notes = distinct_names(predictions.names, range(len(predictions.names))), notes_on(shown, len(said))
    kinds, orders = KINDS if len(names) > _BEST else _KINDS_OF_FEW, {"surest": "surest error first"}
    return Gallery(pictures, names, kinds, 0.0, notes, runs, "confidence", orders, single=True, boxed=False)


def _said(predictions: Predictions) -> list[Found]:
    """The best class of each image."""
    probabilities, labels = predictions.probabilities, predictions.labels
    best, images = probabilities.argmax(1), np.arange(len(labels))
    rank = (probabilities > probabilities[images, labels][:, None]).sum(1)
    kinds = np.where(best == labels, 0, np.where(rank < _BEST, 1, 2))
    columns = (best.tolist(), probabilities[images, best].tolist(), kinds.tolist())
    return [Found(label, score, kind, 0, ()) for label, score, kind in zip(*columns, strict=True)]


def _at(said: Sequence[Found] | None, place: int) -> float | None:
    """The confidence that finds the true class of an image; None when another class is said."""
    return said[place].score if said and said[place].kind == 0 else None


def _classes(names: Sequence[str], counts: Integers) -> tuple[list[str], list[list[Any]]]:
    rows: list[list[Any]] = []
    for label, name in enumerate(names):
        right, images, said = int(counts[label, label]), int(counts[label].sum()), int(counts[:, label].sum())
        recall, precision = right / images if images else None, right / said if said else None
        f1 = 2 * right / (images + said) if images + said else None
        rows.append([name, images, None if recall is None else 1 - recall, recall, precision, f1])
    rows.sort(key=lambda row: not row[1])  # those without images last
    return ["class", "images", "top-1 error", "recall", "precision", "F1"], rows


def _confusions(names: Sequence[str], counts: Integers) -> list[Block]:
    blocks: list[Block] = []
    if len(names) <= MOST_CLASSES:
        text = "Images by their class (rows) and the class that is said (columns)"
        blocks.append(Matrix(text, names, names, counts.tolist(), "true \\ said"))
    rows = [[f"{each['true']} → {each['predicted']}", each["images"]] for each in most_confused(counts, names, 30)]
    blocks.append(Table("The commonest confusions", ["true → said", "images"], rows))
    return blocks
