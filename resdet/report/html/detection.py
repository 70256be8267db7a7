"""The sections of a detector's page: AP, curves over the score, confusion, kinds of errors, calibration.

Legend: K classes, T = 10 IoU thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from resdet.evaluation.calibration import Calibration
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.diagnosis import LEFT_OUT, RIGHT, RIGHT_IOU, Diagnosis
from resdet.evaluation.ground_truth import Floats, GroundTruth
from resdet.evaluation.thresholds import OperatingPoint, ScoreCurve, score_curve
from resdet.report.html.blocks import Block, Cell, Chart, Charts, Line, Matrix, Number, Section, Table, Text, View

ALL = "all classes"
SCORES = np.arange(101) / 100
RECALLS = np.arange(101) / 100
IOUS = np.arange(50, 100, 5) / 100
SIZES = ("any size", "small", "medium", "large")
MOST_CLASSES = 100  # of a drawn matrix, and of the choices of a chart
MEANINGS = {
    "class": "right box, another class",
    "localization": "right class, box too far off (IoU 0.1 to 0.5)",
    "both": "another class, and the box too far off",
    "duplicate": "a second detection of an object that was found",
    "background": "nothing is annotated there",
    "missed": "an object that no detection comes near",
}


def class_curves(truth: GroundTruth, found: DetectionColumns, diagnosis: Diagnosis) -> dict[str, ScoreCurve]:
    """The curve of all classes together, then that of each class; what the diagnosis leaves out does not count."""
    counted, objects = diagnosis.kind != LEFT_OUT, ~truth.crowd
    curves = {ALL: score_curve(found.scores[counted], diagnosis.kind[counted] == RIGHT, int(objects.sum()))}
    for category, name in enumerate(truth.names):
        own = counted & (found.category == category)
        number = int((objects & (truth.category == category)).sum())
        curves[name] = score_curve(found.scores[own], diagnosis.kind[own] == RIGHT, number)
    return curves


def key_numbers(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers of ``metrics.json`` that stand in the summary, by name."""
    bbox, voc = metrics.get("bbox") or {}, metrics.get("voc") or {}
    found = {f"{voc.get('metric', 'VOC').upper()} mAP": voc["mAP"]} if voc else {}
    return found | {name: bbox.get(name) for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100") if name in bbox}


def counted_numbers(truth: GroundTruth, curves: Mapping[str, ScoreCurve], diagnosis: Diagnosis) -> list[Number]:
    """Counts, and what the best score gives."""
    point = curves[ALL].at(diagnosis.score)
    best = (f"{diagnosis.score:.2f}", f"F1 {point.f1:.3f}, the greatest") if point.right else ("–", "no detection is right")
    return [
        Number("best score", *best),
        Number("precision there", _share(point.precision), _counted(point.wrong, "detection", "wrong")),
        Number("recall there", _share(point.recall), _counted(point.missed, "object", "missed")),
        Number("images", f"{len(truth.image_ids):,}", f"{int((~truth.crowd).sum()):,} objects"),
    ]


def ap_section(truth: GroundTruth, diagnosis: Diagnosis, curves: Mapping[str, ScoreCurve]) -> Section:
    """AP by class, size and IoU."""
    ap = diagnosis.ap
    rows: list[Sequence[Any]] = []
    for category, name in enumerate(truth.names):
        curve = curves[name]
        detections = int(curve.right[-1] + curve.wrong[-1]) if len(curve.scores) else 0
        sizes = [_mean(ap[:, category, size]) for size in (1, 2, 3)]
        values = [_mean(ap[:, category, 0]), ap[0, category, 0], ap[5, category, 0], *sizes]
        rows.append([name, curve.objects, detections, *map(float, values)])
    rows.sort(key=lambda row: not row[1])  # those without objects last
    header = ["class", "objects", "detections", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large"]
    over_iou = {ALL: View([Line("AP", IOUS.tolist(), _means(ap[:, :, 0]))])}
    over_iou |= {
        name: View([Line("AP", IOUS.tolist(), ap[:, category, 0].tolist())])
        for category, name in enumerate(truth.names[:MOST_CLASSES])
    }
    by_size = {ALL: _size_view(ap)}
    by_size |= {name: _size_view(ap[:, [category]]) for category, name in enumerate(truth.names[:MOST_CLASSES])}
    charts = Charts(
        [
            Chart(
                "AP by the IoU that a right box needs",
                "IoU",
                "AP",
                over_iou,
                f"Over all classes it falls from {_told(ap[0, :, 0])} at IoU 0.5 to {_told(ap[-1, :, 0])} at 0.95.",
                x_range=(0.48, 0.97),
                y_range=(0, 1),
            ),
            Chart(
                "AP by the size of objects (small: below 32², large: above 96² pixels)",
                "size",
                "AP",
                by_size,
                "Over all classes: " + ", ".join(f"{name} {_told(ap[..., size])}" for size, name in enumerate(SIZES)) + ".",
                x_range=(0, 4),
                y_range=(0, 1),
                ticks=SIZES,
            ),
        ],
        "Class",
    )
    return Section("AP", [charts, Table("AP by class; without objects of a size there is a dash", header, rows)])


def threshold_section(diagnosis: Diagnosis, curves: Mapping[str, ScoreCurve]) -> Section:
    """Precision and recall over the score, with the best score of each class and what it costs."""
    shown = dict(list(curves.items())[: MOST_CLASSES + 1])
    over_recall = {ALL: View([Line("precision", RECALLS.tolist(), _means(diagnosis.precision))])}
    for category, name in enumerate(list(shown)[1:]):
        over_recall[name] = View([Line("precision", RECALLS.tolist(), diagnosis.precision[:, category].tolist())])
    text = (
        "A score below which detections are dropped trades wrong detections against missed objects. The best score is the one "
        "with the greatest F1; wrong and missed are what it costs. A detection is right when its box has an IoU of 0.5 or more "
        "with an object of its class that no better detection has taken."
    )
    best = {name: curve.best() for name, curve in curves.items() if len(curve.scores) and curve.objects}
    overall = curves[ALL].at(diagnosis.score)
    best |= {ALL: overall} if ALL in best else {}  # the page has one such score, in hundredths
    rows: list[Sequence[Any]] = []
    for name, curve in curves.items():
        if point := best.get(name):
            numbers = (point.score, point.f1, point.precision, point.recall)
            rows.append([name, *numbers, point.right, point.wrong, point.missed])
        else:
            rows.append([name, *[None] * 4, 0, None, curve.objects])
    header = ["class", "best score", "F1", "precision", "recall", "right", "wrong", "missed"]
    charts = Charts(
        [
            Chart(
                "Precision over recall (COCO, IoU 0.5)",
                "recall",
                "precision",
                over_recall,
                f"The area below the curve, over all classes, is {_told(diagnosis.ap[0, :, 0])}.",
                (0, 1),
                (0, 1),
            ),
            Chart(
                "F1, precision and recall over the score",
                "score",
                "",
                {name: _score_view(curve, best.get(name)) for name, curve in shown.items()},
                f"Over all classes F1 is greatest at {overall.score:.2f}: {_share(overall.f1)}.",
                (0, 1),
                (0, 1),
            ),
        ],
        "Class",
    )
    return Section("Scores", [Text(text), charts, Table("The best score of each class, and what it costs", header, rows)])


def confusion_section(names: Sequence[str], diagnosis: Diagnosis) -> Section:
    """Which classes are taken for which, and for background."""
    counts = diagnosis.confusion
    background = "background"
    labels = [*names, background]
    pairs = np.argsort(-np.where(np.eye(len(counts), dtype=np.bool_), 0, counts).ravel(), kind="stable")[:15].tolist()
    places = [divmod(pair, len(counts)) for pair in pairs]
    rows: list[list[Cell]] = [
        [f"{labels[true]} → {labels[said]}", int(counts[true, said])]
        for true, said in places
        if counts[true, said] and true != said
    ]
    blocks: list[Block] = [
        Text(
            f"Detections with a score of {diagnosis.score:.2f} or more, matched to objects of any class (IoU 0.5 or more). "
            "The last column has objects that nothing was found on, the last row detections where nothing is annotated."
        )
    ]
    if len(names) <= MOST_CLASSES:
        text = "Objects by their class (rows) and the class that was detected (columns)"
        blocks.append(Matrix(text, labels, labels, counts.tolist(), "true \\ detected"))
    blocks.append(Table("The commonest confusions", ["true → detected", "objects"], rows))
    return Section("Confusion", blocks)


def error_section(diagnosis: Diagnosis) -> Section:
    """What each kind of error costs."""
    rows: list[list[Cell]] = [[name, diagnosis.gain[name], diagnosis.counts[name], MEANINGS[name]] for name in MEANINGS]
    most = max(MEANINGS, key=lambda name: diagnosis.gain[name])
    bars = [(place, place + 1, diagnosis.gain[name]) for place, name in enumerate(MEANINGS)]
    text = (
        "If only the errors of one kind were mended, AP at IoU 0.5 would be greater by this (TIDE, Bolya et al. 2020). The "
        "gains do not add up: one mended error may uncover another. Counts are over all scores; those of low ones cost little."
    )
    chart = Chart(
        "AP50 to be gained from each kind of error",
        "kind of error",
        "gain in AP50",
        {ALL: View(bars=bars)},
        f"The most is to be gained from errors of kind {most}: {diagnosis.gain[most]:.3f}.",
        x_range=(0, len(MEANINGS)),
        ticks=list(MEANINGS),
    )
    table = Table("Kinds of errors", ["kind", "AP50 to be gained", "count", "what it is"], rows)
    return Section("Errors", [Text(text), Charts([chart]), table])


def calibration_chart(calibration: Calibration, what: str, noun: str) -> Charts:
    """How often what has a score is right, bin by bin, and how many there are; ``noun`` names what has scores."""
    bins = len(calibration.counts)
    filled = calibration.counts > 0
    bars = [
        (place / bins, (place + 1) / bins, float(share) if some else None)
        for place, (share, some) in enumerate(zip(calibration.accuracy, filled, strict=True))
    ]
    error = calibration.error
    told = "there are none" if error is None else f"the mean distance from the diagonal (ECE) is {error:.3f}"
    counts = [(place / bins, (place + 1) / bins, float(count)) for place, count in enumerate(calibration.counts.tolist())]
    diagonal = View([Line("as sure as right", [0, 1], [0, 1])], bars)
    return Charts(
        [
            Chart(
                f"Share of right {noun} by {what}",
                what,
                "share right",
                {ALL: diagonal},
                f"{told}.".capitalize(),
                (0, 1),
                (0, 1),
            ),
            Chart(
                f"Number of {noun} by {what}",
                what,
                noun,
                {ALL: View(bars=counts)},
                f"There are {int(calibration.counts.sum()):,} {noun}.",
                (0, 1),
            ),
        ]
    )


def calibration_section(diagnosis: Diagnosis) -> Section:
    """How well the scores fit the share of right detections."""
    error = diagnosis.calibration.error
    told = "–" if error is None else f"{error:.3f}"
    text = (
        f"A score is calibrated when, of the detections with a score of 0.8, four in five are right (IoU {RIGHT_IOU:g}). "
        f"The expected calibration error is {told}, over all detections that were written."
    )
    return Section("Calibration", [Text(text), calibration_chart(diagnosis.calibration, "score", "detections")])


def _score_view(curve: ScoreCurve, best: OperatingPoint | None) -> View:
    points = [curve.at(score) for score in SCORES.tolist()]
    lines = [
        Line(name, SCORES.tolist(), [getattr(point, name.lower()) for point in points])
        for name in ("F1", "precision", "recall")
    ]
    if best is None:
        return View(lines)
    return View(lines, mark=best.score, mark_text=f"F1 {best.f1:.2f} at {best.score:.2f}")


def _size_view(ap: Floats) -> View:
    return View(bars=[(size, size + 1, _mean(ap[..., size])) for size in range(4)])


def _mean(values: Floats) -> float:
    """The mean of what was measured, NaN when nothing was."""
    measured = values[~np.isnan(values)]
    return float(measured.mean()) if measured.size else float("nan")


def _means(values: Floats) -> list[float]:
    return [_mean(row) for row in values]


def _told(values: Floats) -> str:
    return _share(_mean(values))


def _counted(number: int, noun: str, what: str) -> str:
    return f"{number:,} {noun}{' is' if number == 1 else 's are'} {what}"


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
