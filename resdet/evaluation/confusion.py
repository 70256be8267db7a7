"""Counts which classes a classifier confuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from resdet.evaluation.ground_truth import Integers
from resdet.evaluation.predictions import Probabilities


def confusion_matrix(probabilities: Probabilities, labels: Integers) -> Integers:
    """Count images by true class (row) and predicted class (column): int64 (K, K).

    Args:
        probabilities: (N, K), K at least 1; between classes of equal probability, the one with the lower index is predicted.
        labels: int64 (N,), 0 … K-1.
    """
    classes = probabilities.shape[1]
    pairs = labels * classes + probabilities.argmax(1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def most_confused(matrix: Integers, names: Sequence[str], most: int = 10) -> list[dict[str, Any]]:
    """The commonest mistakes ``{"true", "predicted", "images"}``, the commonest first, equally common ones in label order.

    Args:
        matrix: the result of ``confusion_matrix``.
        names: K class names.
        most: the largest number of mistakes; pairs that do not occur are left out.
    """
    mistakes = np.where(np.eye(len(matrix), dtype=np.bool_), 0, matrix).ravel()
    best = np.argsort(-mistakes, kind="stable")[:most].tolist()
    return [
        {"true": names[pair // len(matrix)], "predicted": names[pair % len(matrix)], "images": int(mistakes[pair])}
        for pair in best
        if mistakes[pair]
    ]
