"""Precision, recall and F1 over the score: by hand, against scikit-learn, and their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.evaluation.thresholds import OperatingPoint, score_curve

SCORES = np.array([0.3, 0.9, 0.5, 0.9, 0.7])
RIGHT = np.array([True, True, False, False, True])


def test_the_counts_by_hand() -> None:
    curve = score_curve(SCORES, RIGHT, objects=4)
    assert curve.scores.tolist() == [0.9, 0.7, 0.5, 0.3]
    assert curve.right.tolist() == [1, 2, 2, 3]
    assert curve.wrong.tolist() == [1, 1, 2, 2]
    # F1: 2/6, 4/7, 4/8, 6/9
    assert curve.best() == OperatingPoint(0.3, right=3, wrong=2, missed=1)
    assert (curve.best().precision, curve.best().recall, curve.best().f1) == (3 / 5, 3 / 4, 6 / 9)


@pytest.mark.parametrize(
    ("score", "right", "wrong"), [(1.0, 0, 0), (0.9, 1, 1), (0.8, 1, 1), (0.7, 2, 1), (0.3, 3, 2), (0.0, 3, 2)]
)
def test_what_is_kept_from_a_score_on(score: float, right: int, wrong: int) -> None:
    assert score_curve(SCORES, RIGHT, objects=4).at(score) == OperatingPoint(score, right, wrong, 4 - right)


def test_of_equally_good_scores_the_highest_is_best() -> None:
    curve = score_curve(np.array([0.9, 0.6, 0.5]), np.array([True, False, True]), objects=1 + 2)
    assert [2 * right / (right + wrong + 3) for right, wrong in zip(curve.right, curve.wrong, strict=True)] == [0.5, 0.4, 4 / 6]
    even = score_curve(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, False, True]), objects=2)
    assert even.best().score == 0.9  # 2/3 there and 4/6 at 0.6


def test_without_detections_or_objects() -> None:
    empty = score_curve(np.zeros(0), np.zeros(0, bool), objects=2)
    assert empty.at(0.5) == OperatingPoint(0.5, 0, 0, 2)
    assert math.isnan(empty.at(0.5).precision)
    assert (empty.at(0.5).recall, empty.at(0.5).f1) == (0, 0)
    with pytest.raises(ValueError, match="needs at least one detection"):
        empty.best()
    nothing = score_curve(np.zeros(0), np.zeros(0, bool), objects=0).at(0)
    assert all(math.isnan(value) for value in (nothing.precision, nothing.recall, nothing.f1))
    alone = score_curve(np.array([0.5]), np.array([False]), objects=0).best()
    assert (alone.precision, alone.f1) == (0, 0)
    assert math.isnan(alone.recall)


def test_the_points_are_scikit_learn_s() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    generator = np.random.default_rng(3)
    scores, right = generator.integers(0, 60, 400) / 60, generator.random(400) < 0.4
    precision, recall, thresholds = metrics.precision_recall_curve(right, scores)
    curve = score_curve(scores, right, int(right.sum()))
    assert curve.scores[::-1].tolist() == thresholds.tolist()
    points = [curve.at(score) for score in thresholds]
    assert [point.precision for point in points] == pytest.approx(precision[:-1].tolist())
    assert [point.recall for point in points] == pytest.approx(recall[:-1].tolist())
    best = max(thresholds, key=lambda score: (metrics.f1_score(right, scores >= score), score))
    assert curve.best().score == best
    assert curve.best().f1 == pytest.approx(metrics.f1_score(right, scores >= best))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20), st.integers(0, 3), st.integers(0, 6))
def test_every_point_counts_the_kept_ones(rows: list, more: int, score: int) -> None:
    scores, right = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], bool)
    objects = int(right.sum()) + more
    point = score_curve(scores, right, objects).at(score)
    kept = scores >= score
    assert point == OperatingPoint(
        score, int((right & kept).sum()), int((~right & kept).sum()), objects - int((right & kept).sum())
    )
