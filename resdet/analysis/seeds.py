"""Numbers that were measured with several seeds: their means, and which of them differ by more than the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist, fmean, variance

_LEVEL = 0.05  # how often chance alone may show a difference


def standard_error(values: Sequence[float]) -> float:
    """The standard error of the mean of ``values``; NaN of fewer than two."""
    return math.sqrt(variance(values) / len(values)) if len(values) > 1 else math.nan


def exceeds_noise(one: Sequence[float], other: Sequence[float], comparisons: int = 1) -> bool:
    """Whether two means differ by more than the noise of the seeds (Welch's t test at 5 %).

    Args:
        one: the numbers of at least two seeds; of fewer the noise is unknown, and nothing exceeds it.
        other: the same of something else.
        comparisons: how many such questions are asked together; 5 % is for all of them (Bonferroni).
    """
    if min(len(one), len(other)) < 2:
        return False
    difference = abs(fmean(one) - fmean(other))
    squares = [standard_error(values) ** 2 for values in (one, other)]
    noise = sum(squares)
    if not noise:
        return difference > 0
    shares = (square**2 / (len(values) - 1) for square, values in zip(squares, (one, other), strict=True))
    return difference > t_quantile(1 - _LEVEL / comparisons / 2, noise**2 / sum(shares)) * math.sqrt(noise)


def t_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t, for a probability above 0.5, to 3 % from 2 degrees of freedom on (Abramowitz, 26.7.5)."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def conclude_differences(groups: Mapping[str, Sequence[float]]) -> str:
    """Which pairs of groups differ by more than the noise, the lower one first; a text to end a conclusion with."""
    if min(map(len, groups.values()), default=0) < 2:
        return "of a single seed: how large the noise is, and so whether they differ, is unknown"
    pairs = list(combinations(groups, 2))
    found = []
    for pair in pairs:
        low, high = sorted(pair, key=lambda name: fmean(groups[name]))
        if exceeds_noise(groups[low], groups[high], len(pairs)):
            found.append(f"{low} below {high}")
    if not found:
        return "no difference exceeds the noise of the seeds"
    rest = "" if len(found) == len(pairs) else ", no other"
    return f"{', '.join(found)} by more than the noise of the seeds{rest}"
