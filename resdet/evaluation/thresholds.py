"""Precision, recall and F1 over the score that detections are kept from.

Legend: D detections, S distinct scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from resdet.evaluation.ground_truth import Flags, Floats, Integers


class OperatingPoint(NamedTuple):
    """What keeping detections from a score on gives, and what it costs.

    Attributes:
        score: the least score kept.
        right: detections that are right.
        wrong: detections that are not.
        missed: objects without a right detection.
    """

    score: float
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of the detections that are right, in [0, 1]; NaN without detections."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else float("nan")

    @property
    def recall(self) -> float:
        """The share of the objects that are found, in [0, 1]; NaN without objects."""
        return self.right / (self.right + self.missed) if self.right + self.missed else float("nan")

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 0 when nothing is right; NaN without detections and objects."""
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else float("nan")


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """Counts for each score that detections may be kept from.

    Attributes:
        scores: float64 (S,), the distinct scores, falling.
        right: int64 (S,), the right detections of each score or a higher one.
        wrong: int64 (S,), the others.
        objects: the number of objects.
    """

    scores: Floats
    right: Integers
    wrong: Integers
    objects: int

    def at(self, score: float) -> OperatingPoint:
        """The counts when detections of ``score`` and more are kept."""
        kept = int(np.searchsorted(-self.scores, -score, side="right"))
        right, wrong = (int(counts[kept - 1]) if kept else 0 for counts in (self.right, self.wrong))
        return OperatingPoint(score, right, wrong, self.objects - right)

    def best(self) -> OperatingPoint:
        """The point of the greatest F1, of equal ones that of the highest score; a ValueError without detections."""
        if not len(self.scores):
            raise ValueError("a best score needs at least one detection, got none")
        f1 = 2 * self.right / (self.right + self.wrong + self.objects)
        return self.at(float(self.scores[np.argmax(f1)]))


def score_curve(scores: Floats, right: Flags, objects: int) -> ScoreCurve:
    """Count right and wrong detections from each score on; an object has one right detection at most.

    Args:
        scores: (D,), in any order.
        right: bool (D,), whether each detection is right.
        objects: the number of objects, at least that of the right detections.
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.zeros(0, np.int64)
    found = np.cumsum(right[order], dtype=np.int64)[last]
    return ScoreCurve(falling[last], found, last + 1 - found, objects)
