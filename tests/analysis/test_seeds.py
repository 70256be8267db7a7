"""Noise of seeds: Welch's test against tables and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resdet.analysis.seeds import conclude_differences, exceeds_noise, standard_error, t_quantile

# two-sided 95 % and 99 % points of Student's t, from printed tables
TABLE = [
    (0.975, 2, 4.303),
    (0.975, 3, 3.182),
    (0.975, 4, 2.776),
    (0.975, 10, 2.228),
    (0.975, 30, 2.042),
    (0.995, 4, 4.604),
    (0.995, 10, 3.169),
    (0.995, 1e9, 2.576),
]


@pytest.mark.parametrize(("probability", "freedom", "expected"), TABLE)
def test_quantiles_of_student(probability: float, freedom: float, expected: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=0.03 if freedom < 4 else 0.01)


def test_standard_error_by_hand() -> None:
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1 / math.sqrt(3))
    assert math.isnan(standard_error([1.0]))


def test_welch_by_hand() -> None:
    """Means 2 and 6, variances 1 and 4 of three each: t = 4 / sqrt(5 / 3) = 3.098 at 2.94 degrees; the 95 % point is 3.22."""
    one, other = [1.0, 2.0, 3.0], [4.0, 6.0, 8.0]
    assert not exceeds_noise(one, other)
    assert exceeds_noise(one, [value + 0.3 for value in other])
    assert not exceeds_noise(one, [value + 0.3 for value in other], comparisons=6)


def test_chance_alone_is_seldom_taken_for_a_difference() -> None:
    """Of 2000 pairs from one distribution 5 % at most should differ; Welch's test of three seeds is a little careful."""
    random = np.random.default_rng(0)
    pairs = random.normal(size=(2000, 2, 3)).tolist()
    found = sum(exceeds_noise(one, other) for one, other in pairs)
    assert 40 <= found <= 130  # six deviations of 100 +- 9.7 would be 158; Welch's own share of three seeds is 3.5 %


def test_without_noise_any_difference_counts() -> None:
    assert exceeds_noise([1.0, 1.0], [1.1, 1.1])
    assert not exceeds_noise([1.0, 1.0], [1.0, 1.0])
    assert not exceeds_noise([1.0], [9.0, 9.0])


def test_what_is_concluded() -> None:
    assert conclude_differences({"a": [1.0], "b": [2.0]}).startswith("of a single seed")
    assert conclude_differences({"a": [1.0, 2.0], "b": [1.1, 2.1]}) == "no difference exceeds the noise of the seeds"
    found = conclude_differences({"a": [5.0, 5.1], "b": [1.0, 1.1], "c": [1.02, 1.1]})
    assert found == "b below a, c below a by more than the noise of the seeds, no other"
