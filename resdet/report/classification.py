"""The result files of a classifier: predictions, confusion matrix, reliability diagram.

Legend: K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resdet.evaluation.calibration import Calibration, calibrate
from resdet.evaluation.confusion import confusion_matrix
from resdet.evaluation.ground_truth import Integers, distinct_names
from resdet.evaluation.predictions import Predictions, write_predictions
from resdet.figures import blank_figure, save_figure
from resdet.files import write_csv
from resdet.report.results import write_metrics

_DRAWN = 50  # classes; a picture with more would not be readable
_NUMBERED = 20


def write_classification(folder: str | Path, predictions: Predictions, metrics: Mapping[str, Any]) -> list[Path]:
    """Write all results of a classifier into ``folder``, each file atomically.

    The files are ``metrics.json``, ``predictions.npz``, ``confusion.csv``, ``report/reliability.png`` and, for at most 50
    classes, ``report/confusion.png``.

    Args:
        folder: the folder to write to, created when missing.
        predictions: the predictions of the classifier, or of an ensemble.
        metrics: the result of ``evaluate_predictions``.

    Returns:
        The files written.
    """
    folder = Path(folder)
    names = distinct_names(predictions.names, range(len(predictions.names)))
    matrix = confusion_matrix(predictions.probabilities, predictions.labels)
    paths = [write_metrics(folder, metrics), folder / "predictions.npz", folder / "confusion.csv"]
    write_predictions(paths[1], predictions)
    write_confusion(paths[2], matrix, names)
    paths.append(folder / "report" / "reliability.png")
    plot_reliability(paths[-1], calibrate(predictions.probabilities, predictions.labels))
    if len(names) <= _DRAWN:
        paths.append(folder / "report" / "confusion.png")
        plot_confusion(paths[-1], matrix, names)
    return paths


def write_confusion(path: str | Path, matrix: Integers, names: Sequence[str]) -> None:
    """Write a confusion matrix (K, K) as CSV, atomically: a header of predicted classes, then one row for each true class."""
    rows = ([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))
    write_csv(path, ["true \\ predicted", *names], rows)


def plot_confusion(png: str | Path, matrix: Integers, names: Sequence[str]) -> None:
    """Draw a confusion matrix (K, K), each row as shares of its true class, and write it atomically."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.5 + 0.28 * len(names)
    figure = blank_figure(side + 0.8, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    # matplotlib would read $…$ as formulas
    ticks = [name.replace("$", r"\$") for name in names]
    axes.set_xticks(range(len(names)), ticks, rotation=90)
    axes.set_yticks(range(len(names)), ticks)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(names) <= _NUMBERED:
        for true, predicted in zip(*(axis.tolist() for axis in np.nonzero(matrix)), strict=True):
            color = "white" if shares[true, predicted] > 0.5 else "black"
            count = str(matrix[true, predicted])
            axes.text(predicted, true, count, ha="center", va="center", fontsize="xx-small", color=color)
    save_figure(figure, png)


def plot_reliability(png: str | Path, calibration: Calibration) -> None:
    """Draw accuracy and number of images over confidence, bin by bin, and write it atomically (Guo et al. 2017, figure 1)."""
    bins = len(calibration.counts)
    left = np.arange(bins) / bins
    figure = blank_figure(5, 5)
    accuracy, images = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    accuracy.bar(left, calibration.accuracy, width=1 / bins, align="edge", edgecolor="white", label="accuracy")
    filled = calibration.counts > 0
    accuracy.plot(calibration.confidence[filled], calibration.accuracy[filled], "ko", markersize=3, label="mean of the bin")
    accuracy.plot([0, 1], [0, 1], "k--", linewidth=0.8, label="as sure as right")
    accuracy.set_ylim(0, 1)
    accuracy.set_ylabel("accuracy")
    accuracy.legend(loc="upper left", fontsize="small")
    error = calibration.error
    accuracy.set_title("no images" if error is None else f"expected calibration error {100 * error:.2f} %")
    images.bar(left, calibration.counts, width=1 / bins, align="edge", edgecolor="white", color="gray")
    images.set_xlim(0, 1)
    images.set_xlabel("confidence")
    images.set_ylabel("images")
    save_figure(figure, png)
