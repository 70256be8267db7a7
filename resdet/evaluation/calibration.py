"""Measures how well a classifier's confidence fits its accuracy: expected calibration error, negative log-likelihood.

Legend: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resdet.evaluation.ground_truth import Floats, Integers
from resdet.evaluation.predictions import Probabilities

BINS = 15
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Calibration:
    """Images in bins of equal width ``(b / B, (b + 1) / B]`` by their confidence, which is their greatest probability.

    Attributes:
        counts: int64 (B,), the number of images in each bin; confidence 0 belongs to the first bin.
        confidence: float64 (B,), the mean confidence in each bin; 0 in an empty bin.
        accuracy: float64 (B,), the share of images in each bin that are classified correctly; 0 in an empty bin.
    """

    counts: Integers
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float | None:
        """ECE = sum_b counts_b / N * |accuracy_b - confidence_b|, in [0, 1]; None without images.

        Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
        """
        images = int(self.counts.sum())
        return float(self.counts @ np.abs(self.accuracy - self.confidence)) / images if images else None


def calibrate(probabilities: Probabilities, labels: Integers, bins: int = BINS) -> Calibration:
    """Sort images into bins of confidence. Between classes of equal probability, the one with the lower index is predicted.

    Args:
        probabilities: (N, K), rows summing to 1.
        labels: int64 (N,), 0 … K-1.
        bins: B, the number of bins.
    """
    if not len(labels):
        return Calibration(np.zeros(bins, np.int64), np.zeros(bins), np.zeros(bins))
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    edges = np.arange(bins + 1) / bins
    # rounding may leave a sum, and so a probability, a little above 1
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    images = np.maximum(counts, 1)
    return Calibration(
        counts,
        np.bincount(index, weights=confidence, minlength=bins) / images,
        np.bincount(index, weights=right, minlength=bins) / images,
    )


def negative_log_likelihood(probabilities: Probabilities, labels: Integers) -> float | None:
    """The mean of ``-log`` of the true class's probability, nats; None without images.

    A probability of 0 counts as float32's smallest normal number: 87.3 nats.
    """
    if not len(labels):
        return None
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, _TINY)).mean())
