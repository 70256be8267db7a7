"""Chooses a detector's options from the facts of its data. Each function is one rule, with its reason."""

from __future__ import annotations

import itertools
import math

import numpy as np

from resdet.training.plan.facts import DataFacts, longest

# shorter sides that a plan chooses from, pixels
SIDES = (256, 320, 400, 480, 600, 720, 800)
# the features have stride 16: an object of two cells, 32 pixels, is found well, one of a single cell hardly
_SEEN = 32.0
# the share of objects that may be smaller than that
_SMALL = 0.1


def wanted_side(facts: DataFacts) -> int:
    """The shorter side at which nine of ten objects have 32 pixels, but not far beyond the photos' own pixels.

    At least 320: pretrained networks have seen objects at the size of photos of 224 pixels and more.
    """
    least = _SEEN / max(float(np.quantile(facts.scales, _SMALL)), 1e-6)
    most = 1.5 * facts.short_side  # beyond it there is nothing to see, and every step pays
    return next((side for side in SIDES if side >= max(320.0, min(least, most))), SIDES[-1])


def smaller_side(side: int) -> int | None:
    """The next smaller of the sides; None below the least."""
    return max((other for other in SIDES if other < side), default=None)


def longer_side(facts: DataFacts, side: int) -> int:
    """The limit of the longer side: that of nearly all photos, but no more than 5/3 of the shorter one (paper: 600, 1000)."""
    return math.ceil(side * longest(facts.aspect))


def training_sides(side: int) -> list[int]:
    """Shorter sides to draw from: a tenth smaller, the side of testing, a tenth larger."""
    return [round(0.9 * side), side, round(1.1 * side)]


def anchor_sizes(facts: DataFacts, side: int) -> list[float]:
    """Anchors whose sizes cover those of 90 % of the objects, each at most twice the one before.

    An anchor of twice an object's area in the same place has IoU 0.5 with it, so steps of two in size leave no gap between the
    three aspect ratios.
    """
    low, high = (float(np.quantile(facts.scales, share)) * side for share in (0.05, 0.95))
    low, high = max(low, 16.0), max(high, 32.0)
    count = max(3, math.ceil(math.log2(high / low)) + 1)
    sizes = np.geomspace(low, max(high, 2 * low), count)
    return [float(round(size)) for size in sizes]


def anchor_ratios(facts: DataFacts) -> list[float]:
    """The usual three aspect ratios, and beside them 3, 6, 12, 24, and 1 by these, to which one in ten objects is nearer."""
    steps = [2.0, 3.0, 6.0, 12.0, 24.0]
    ratios = [0.5, 1.0, 2.0]
    for last, longer in itertools.pairwise(steps):
        bound = math.sqrt(last * longer)
        if np.mean(facts.ratios < 1 / bound) > _SMALL:
            ratios.insert(0, round(1 / longer, 2))
        if np.mean(facts.ratios > bound) > _SMALL:
            ratios.append(longer)
    return ratios


def regions_an_image(facts: DataFacts, least: int, most: int) -> int:
    """Regions sampled an image: four for each object of a crowded image, for a quarter of them may be positive."""
    return int(min(max(least, 8 * math.ceil(facts.crowd / 2)), most))


def iterations_within(seconds: float, step: float, images: int, batch: int, *, epochs: int) -> int:
    """Steps that fit into the time, at least 20, at most so many passes over the images: more would only repeat."""
    return max(20, min(int(seconds / step), math.ceil(epochs * images / batch)))


def enough_iterations(images: int, batch: int) -> int:
    """Steps below which a smaller picture is better than fewer steps: three passes over the images, 600 to 2,000 steps."""
    return min(max(600, math.ceil(3 * images / batch)), 2000)
