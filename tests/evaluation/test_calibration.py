"""Calibration against a walk over bins in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.evaluation.calibration import BINS, calibrate, negative_log_likelihood


def by_hand(probabilities: list[list[float]], labels: list[int], bins: int) -> float:
    """Expected calibration error: images sorted into (b / B, (b + 1) / B] one by one."""
    error = 0.0
    for b in range(bins):
        inside = []
        for row, label in zip(probabilities, labels, strict=True):
            confidence = max(row)
            if b / bins < confidence <= (b + 1) / bins or (b == 0 and confidence == 0):
                inside.append((confidence, row.index(confidence) == label))
        if inside:
            sure = sum(confidence for confidence, _ in inside) / len(inside)
            right = sum(hit for _, hit in inside) / len(inside)
            error += len(inside) / len(labels) * abs(right - sure)
    return error


@given(
    seed=st.integers(0, 2**31),
    images=st.integers(1, 60),
    classes=st.integers(1, 6),
    bins=st.integers(1, 20),
    sharp=st.booleans(),
)
def test_against_a_walk_over_the_bins(seed: int, images: int, classes: int, bins: int, sharp: bool) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 4, (images, classes)) ** (4 if sharp else 1) + (0 if sharp else 1)
    counts[counts.sum(1) == 0, 0] = 1
    probabilities = (counts / counts.sum(1, keepdims=True)).astype(np.float32)  # many ties, zeros, ones, and edges of bins
    labels = generator.integers(0, classes, images)
    found = calibrate(probabilities, labels, bins)
    assert found.error == pytest.approx(by_hand(probabilities.tolist(), labels.tolist(), bins), abs=1e-9)
    assert found.counts.sum() == images
    assert found.error is not None
    assert 0 <= found.error <= 1


@pytest.mark.parametrize(
    ("row", "label", "error"),
    [
        ([1.0, 0.0], 0, 0.0),
        ([1.0, 0.0], 1, 1.0),
        ([0.5, 0.5], 0, 0.5),
        ([0.5, 0.5], 1, 0.5),
        ([0.25, 0.75], 1, 0.25),
        ([1.0], 0, 0.0),
    ],
)
def test_one_image(row: list[float], label: int, error: float) -> None:
    found = calibrate(np.array([row], np.float32), np.array([label]))
    assert found.error == pytest.approx(error)
    assert len(found.counts) == BINS == 15
    assert np.flatnonzero(found.counts).tolist() == [math.ceil(max(row) * 15) - 1]


def test_of_equal_probabilities_the_first_class_is_the_prediction() -> None:
    probabilities = np.full((4, 4), 0.25, np.float32)
    assert calibrate(probabilities, np.zeros(4, np.int64)).error == pytest.approx(0.75)
    assert calibrate(probabilities, np.arange(4)).error == 0


def test_a_sum_rounded_above_one_belongs_to_the_last_bin() -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    assert calibrate(np.array([[above]], np.float32), np.array([0])).counts.tolist() == [0] * 14 + [1]


def test_no_images() -> None:
    found = calibrate(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    assert found.error is None
    assert found.counts.tolist() == [0] * 15
    assert negative_log_likelihood(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) is None


def test_negative_log_likelihood() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [1, 0]], np.float32)
    expected = (math.log(2) + math.log(4) + 0) / 3
    assert negative_log_likelihood(probabilities, np.array([1, 0, 0])) == pytest.approx(expected)
    assert negative_log_likelihood(probabilities[2:], np.array([1])) == pytest.approx(87.34, abs=0.01)
