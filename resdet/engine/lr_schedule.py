"""The learning rate of every iteration: its rule times its warm-up.

Steps, cosine and the linear warm-up are pure functions of the iteration. The plateau rule and the warm-up by error depend on
what was measured so far, which is in ``state``: plain numbers that the checkpoint keeps.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

_ERROR_WINDOW = 100  # iterations over which the training error is averaged


class Factor(Protocol):
    """One factor of the learning rate.

    A factor that depends on the run also has ``state``, and either ``after_step`` (called with the values of the step) or
    ``after_evaluation`` (called with its score, higher is better).
    """

    def __call__(self, iteration: int) -> float:
        """The factor of step ``iteration``, counted from 0."""


@dataclass(frozen=True)
class Steps:
    """``gamma`` to the power of the number of milestones ``<= iteration`` (paper, sections 3.4 and 4.2)."""

    milestones: Sequence[int] = ()
    gamma: float = 0.1

    def __call__(self, iteration: int) -> float:
        """The factor of step ``iteration``."""
        return self.gamma ** bisect.bisect_right(self.milestones, iteration)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 at iteration 0 to 0 after ``iterations`` (Loshchilov and Hutter, 2017)."""

    iterations: int

    def __call__(self, iteration: int) -> float:
        """The factor of step ``iteration``."""
        return (1 + math.cos(math.pi * min(iteration / self.iterations, 1.0))) / 2


class Plateau:
    """One ``gamma`` for each time that the score stopped rising (paper, section 3.4: "divided by 10 when the error plateaus").

    We call it a plateau when ``patience`` evaluations in a row do not beat the best score so far by ``threshold``. The count
    starts again after a drop; the best score stays.

    Args:
        gamma: factor at a plateau.
        patience: the number of evaluations without a gain.
        threshold: the least rise that counts as a gain, in the score's unit; 0.001 is 0.1 points of error.
    """

    def __init__(self, gamma: float = 0.1, patience: int = 5, threshold: float = 0.001) -> None:
        self.gamma = gamma
        self.patience = patience
        self.threshold = threshold
        self.state: dict[str, Any] = {"best": None, "waited": 0, "drops": 0}

    def __call__(self, iteration: int) -> float:  # noqa: ARG002 - the count of drops says it all
        """The factor now."""
        return float(self.gamma ** self.state["drops"])

    def after_evaluation(self, score: float) -> None:
        """Use the score of an evaluation; NaN counts as no gain."""
        best = self.state["best"]
        if math.isfinite(score) and (best is None or score >= best + self.threshold):
            self.state.update(best=score, waited=0)
            return
        self.state["waited"] += 1
        if self.state["waited"] == self.patience:
            self.state.update(waited=0, drops=self.state["drops"] + 1)


@dataclass(frozen=True)
class LinearWarmup:
    """Rises in a straight line from ``factor`` at iteration 0 to 1 at ``iterations``, and stays 1 from then on."""

    iterations: int = 0
    factor: float = 0.001

    def __call__(self, iteration: int) -> float:
        """The factor of step ``iteration``."""
        if iteration >= self.iterations:
            return 1.0
        return self.factor + (1 - self.factor) * iteration / self.iterations


class WarmupUntilError:
    """``factor`` until the training error falls below ``error``, then 1 for good (paper, section 4.2: ResNet-110).

    The paper does not say how the error is measured. We take the mean over the last 100 iterations, once there are 100.

    Args:
        error: the share of misclassified training images that ends the warm-up, in [0, 1].
        factor: the share of the learning rate during the warm-up.
    """

    def __init__(self, error: float = 0.8, factor: float = 0.1) -> None:
        self.error = error
        self.factor = factor
        self.state: dict[str, Any] = {"errors": [], "done": False}

    def __call__(self, iteration: int) -> float:  # noqa: ARG002 - what was measured says it all
        """The factor now."""
        return 1.0 if self.state["done"] else self.factor

    def after_step(self, values: Mapping[str, float]) -> None:
        """Use the ``"error"`` of a step."""
        if self.state["done"]:
            return
        errors = self.state["errors"]
        errors.append(values["error"])
        del errors[:-_ERROR_WINDOW]
        if len(errors) == _ERROR_WINDOW and math.fsum(errors) / _ERROR_WINDOW < self.error:
            self.state.update(errors=[], done=True)


@dataclass(frozen=True)
class LearningRate:
    """``lr`` times its rule times its warm-up; ``schedule(i)`` is the rate of the step that follows ``i`` finished ones.

    Args:
        lr: the full learning rate.
        policy: the factor by which it falls.
        warmup: the factor by which it rises.
    """

    lr: float
    policy: Factor = field(default_factory=Steps)
    warmup: Factor = field(default_factory=LinearWarmup)

    def __call__(self, iteration: int) -> float:
        """The learning rate of step ``iteration``, counted from 0."""
        return self.lr * self.policy(iteration) * self.warmup(iteration)

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """The states of the factors, plain values; these are their own dicts and not copies."""
        parts = {"policy": self.policy, "warmup": self.warmup}
        return {name: part.state for name, part in parts.items() if hasattr(part, "state")}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore the ``state`` of a checkpoint."""
        for name, mine in self.state.items():
            mine.update(state.get(name, {}))

    def after_step(self, values: Mapping[str, float]) -> None:
        """Pass the measurements of a step to the factors."""
        for part in (self.policy, self.warmup):
            if hasattr(part, "after_step"):
                part.after_step(values)

    def after_evaluation(self, score: float) -> None:
        """Pass the score of an evaluation to the factors; higher is better."""
        for part in (self.policy, self.warmup):
            if hasattr(part, "after_evaluation"):
                part.after_evaluation(score)
