"""The paired bootstrap: against a naive one, and where its answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from diagnosed import random_set

from resdet.evaluation.coco import evaluate_coco
from resdet.evaluation.compare import Difference, compare_detections, compare_means
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.ground_truth import GroundTruth


def taken(truth: GroundTruth, images: np.ndarray) -> GroundTruth:
    """The images of a draw, each as an image of its own."""
    rows = [np.flatnonzero(truth.image == image) for image in images]
    chosen = np.concatenate(rows)
    columns = {name: getattr(truth, name)[chosen] for name in ("category", "boxes", "area", "crowd", "difficult")}
    number = np.repeat(np.arange(len(images)), [len(each) for each in rows])
    return replace(truth, image_ids=tuple(range(len(images))), sizes=truth.sizes[images], image=number, **columns)


def drawn(found: DetectionColumns, images: np.ndarray) -> DetectionColumns:
    rows = [np.flatnonzero(found.image == image) for image in images]
    chosen = np.concatenate(rows)
    number = np.repeat(np.arange(len(images)), [len(each) for each in rows])
    return DetectionColumns(number, found.category[chosen], found.boxes[chosen], found.scores[chosen])


def worse(found: DetectionColumns) -> DetectionColumns:
    """The same detections with scores that say less."""
    noise = np.random.default_rng(5).random(len(found.scores))
    return replace(found, scores=0.5 * found.scores + 0.5 * noise)


def test_the_interval_is_that_of_a_naive_bootstrap() -> None:
    truth, found = random_set(3)
    other = worse(found)
    ap, ap50, _ = compare_detections(truth, other, found, resamples=400, seed=1)
    sides = [evaluate_coco(truth, each).bbox for each in (other, found)]
    assert (ap.before, ap.after) == pytest.approx((sides[0]["AP"], sides[1]["AP"]))
    assert ap50.change == pytest.approx(sides[1]["AP50"] - sides[0]["AP50"])
    generator, gains = np.random.default_rng(2), []
    for _ in range(150):
        images = generator.integers(0, len(truth.image_ids), len(truth.image_ids))
        own = taken(truth, images)
        scores = [evaluate_coco(own, drawn(each, images)).bbox["AP"] for each in (other, found)]
        gains.append(scores[1] - scores[0])
    low, high = np.quantile(gains, [0.025, 0.975])
    # an end of 150 draws has a standard error of a quarter of their deviation, that of 400 a seventh
    spread = np.std(gains)
    assert ap.low == pytest.approx(low, abs=spread)
    assert ap.high == pytest.approx(high, abs=spread)
    assert ap.high - ap.low == pytest.approx(high - low, rel=0.4)


def test_alike_is_alike() -> None:
    truth, found = random_set(4, images=8)
    for each in compare_detections(truth, found, found, resamples=20):
        assert (each.change, each.low, each.high) == (0, 0, 0)


def test_means_by_hand_and_by_theory() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.random(400), generator.random(400) + 0.1
    found = compare_means("x", before, after, resamples=4000)
    gains = after - before
    error = gains.std() / 20  # of the mean of 400
    assert (found.before, found.after) == (before.mean(), after.mean())
    # the interval of a mean is the normal one, within the noise of the 4000 draws, about 0.05 of the error
    assert found.low == pytest.approx(gains.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(gains.mean() + 1.96 * error, abs=0.2 * error)
    assert found.change == pytest.approx(gains.mean())


def test_every_image_better_is_no_chance() -> None:
    found = compare_means("x", np.zeros(9), np.ones(9))
    assert found == Difference("x", 0, 1, 1, 1)
    assert np.isnan(compare_means("x", np.zeros(0), np.zeros(0)).change)
