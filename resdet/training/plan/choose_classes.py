"""Chooses a classifier's options from the facts of its data. Each function is one rule, with its reason."""

from __future__ import annotations

import math

from resdet.training.plan.facts import ClassFacts

# sides of the square that the network sees, pixels: whole cells of the last map, whose stride is 32
SIDES = (64, 96, 128, 160, 192, 224)
_STEPS_AN_EPOCH = 4


def wanted_crop(facts: ClassFacts) -> int:
    """The side at which pretrained networks have learnt, 224, but for small images the next above twice their own.

    Enlarging an image shows nothing new, but brings its parts nearer to the size that the weights know; each doubling costs
    four times as much.
    """
    return next((side for side in SIDES if side >= 2 * facts.short_side), SIDES[-1])


def affordable_crop(side: int, step: float, seconds: float, steps: int) -> int:
    """The largest side up to ``side`` at which so many steps fit into the time; a step's time grows with the area.

    Args:
        side: the wanted one.
        step: seconds of a step at that side.
        seconds: the time for all steps.
        steps: how many there should be.
    """
    return next((s for s in reversed(SIDES) if s <= side and step * (s / side) ** 2 * steps <= seconds), SIDES[0])


def side_for_testing(crop: int) -> int:
    """The shorter side before the centre crop, as 256 is to 224."""
    return round(crop * 8 / 7)


def batch_of(facts: ClassFacts, most: int) -> int:
    """Images a step: the run file's, but of few images so many that an epoch has four steps; BN needs some, at least 4."""
    return max(min(most, math.ceil(facts.images / _STEPS_AN_EPOCH)), 4)


def enough_iterations(images: int, batch: int) -> int:
    """Steps below which a smaller picture is better than fewer steps: eight passes over the images, 100 to 2,000 steps."""
    return min(max(100, math.ceil(8 * images / batch)), 2000)


def evaluations_within(seconds: float, once: float) -> int:
    """How often to evaluate: up to ten times, in a tenth of the time, and once at the end in any case."""
    return max(1, min(10, int(0.1 * seconds / max(once, 1e-6))))
