"""How much better one set of predictions is than another on the same images, and how sure that is.

An interval is that of a paired bootstrap: images are drawn with replacement as often as there are images, and both sides are
measured on the same draw. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from resdet.evaluation.coco import hotcoco_evaluation
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import Floats, GroundTruth

RESAMPLES = 500
CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A number before and after.

    Attributes:
        name: what it is.
        before: on the one side.
        after: on the other.
        low: the lower end of the interval of ``after - before``, in which it is with a confidence of 95 %.
        high: the upper end.
    """

    name: str
    before: float
    after: float
    low: float
    high: float

    @property
    def change(self) -> float:
        """How much greater the number is after."""
        return self.after - self.before


def compare_detections(
    truth: GroundTruth, before: DetectionColumns, after: DetectionColumns, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Difference]:
    """AP, AP50 and AP75 of two detectors with the intervals of their differences.

    Args:
        truth: the ground truth of both.
        before: the detections of the one.
        after: those of the other.
        resamples: how often images are drawn.
        seed: of the draws.
    """
    import hotcoco

    runs = [hotcoco_evaluation(truth, found) for found in (before, after)]
    for run in runs:
        # of all sizes together: the others would take four times as long
        run.params.area_rng, run.params.area_rng_lbl, run.params.max_dets = [[0, 1e10]], ["all"], [100]
        run.evaluate()
    found = hotcoco.compare(runs[0], runs[1], n_bootstrap=resamples, seed=seed, confidence=CONFIDENCE)
    sides = found["metrics_a"], found["metrics_b"]
    intervals = {name: (found["ci"][name]["lower"], found["ci"][name]["upper"]) for name in ("AP", "AP50", "AP75")}
    return [Difference(name, *(float(side[name]) for side in sides), *map(float, ends)) for name, ends in intervals.items()]


def compare_means(name: str, before: Floats, after: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """The means of a number of each image on both sides, with the interval of their difference; NaN without images.

    Args:
        name: what it is.
        before: (N,), of each image on the one side.
        after: (N,), on the other.
        resamples: how often images are drawn.
        seed: of the draws.
    """
    images = len(before)
    if not images:
        return Difference(name, *[float("nan")] * 4)
    generator = np.random.default_rng(seed)
    gains = after - before
    means = [float(gains[generator.integers(0, images, images)].mean()) for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return Difference(name, float(before.mean()), float(after.mean()), low, high)
