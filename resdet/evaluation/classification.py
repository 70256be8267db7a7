"""Computes all metrics of a classifier."""

from __future__ import annotations

from typing import Any

import torch

from resdet.evaluation.calibration import calibrate, negative_log_likelihood
from resdet.evaluation.confusion import confusion_matrix, most_confused
from resdet.evaluation.ground_truth import distinct_names
from resdet.evaluation.predictions import Predictions
from resdet.evaluation.topk import TopK


def evaluate_predictions(predictions: Predictions) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Returns:
        "top1_error", "top5_error" and "ece" in [0, 1], "nll" in nats, "per_class" by name, "confused": the ten commonest
        mistakes, and "meta"; a value is None when there was no image for it.

    Raises:
        TrainingError: when a probability is not finite.
    """
    probabilities, labels = predictions.probabilities, predictions.labels
    counter = TopK(predictions.names)
    rows = 1000  # images at a time
    for some, true in zip(torch.from_numpy(probabilities).split(rows), torch.from_numpy(labels).split(rows), strict=True):
        counter.process(some, true)
    found = counter.evaluate()
    names = distinct_names(predictions.names, range(len(predictions.names)))
    return {
        "top1_error": found["top1_error"],
        "top5_error": found["top5_error"],
        "ece": calibrate(probabilities, labels).error,
        "nll": negative_log_likelihood(probabilities, labels),
        "per_class": found["per_class"],
        "confused": most_confused(confusion_matrix(probabilities, labels), names),
        "meta": found["meta"],
    }
