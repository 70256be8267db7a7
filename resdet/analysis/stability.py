"""What BN is for: up to which learning rate a network learns with it, and without it.

A network learns at a rate when the loss at the end of a short training is finite and 5 % below that of a guess,
``log(classes)``. The largest rate at which it does is its largest stable one, as far as the rates that were tried tell it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from resdet.analysis.seeds import standard_error
from resdet.engine.optimizer import build_sgd
from resdet.models.classifier import Classifier, LabelledImages, classification_step
from resdet.ops.modes import kept_modes

_LAST_SHARE = 0.1  # share of the steps over which the loss at the end is averaged
_LEARNT = 0.95  # of the loss of a guess: what a network that stands still is above, and one that learns soon below
WITH = {"batch": "with BN", "none": "without BN", "fixup": "without BN, with Fixup's start"}


@dataclass(frozen=True)
class LossCurve:
    """A short training at one learning rate.

    Attributes:
        network: the name of the network.
        norm: batch, none or fixup, as ``model.backbone.norm``.
        rate: the learning rate.
        seed: of the start and of the batches.
        classes: the number of classes.
        losses: the loss of each step, in nats; infinity where it was not finite, and from there on.
    """

    network: str
    norm: str
    rate: float
    seed: int
    classes: int
    losses: tuple[float, ...]

    @property
    def final(self) -> float:
        """The mean loss over the last tenth of the steps."""
        return fmean(self.losses[-max(1, round(_LAST_SHARE * len(self.losses))) :])

    @property
    def learns(self) -> bool:
        """Whether the loss ends 5 % below that of a guess."""
        return self.final < _LEARNT * math.log(self.classes)


def train_shortly(
    classifier: Classifier, batches: Iterable[LabelledImages], rate: float, momentum: float, weight_decay: float
) -> list[float]:
    """The losses of SGD at one learning rate, a step for each batch; all infinite from the first on that is not finite.

    Args:
        classifier: it is trained in place; its modes stay.
        batches: on its device; each is looked at once.
        rate: the learning rate of every step.
        momentum: of SGD.
        weight_decay: of SGD.
    """
    optimizer = build_sgd(classifier, rate, momentum, weight_decay)
    losses: list[float] = []
    with kept_modes(classifier):
        classifier.train()
        for batch in batches:
            if losses and losses[-1] == math.inf:
                losses.append(math.inf)
                continue
            optimizer.zero_grad()
            loss = classification_step(classifier, batch)["loss_cls"]
            value = loss.item()
            losses.append(value if math.isfinite(value) else math.inf)
            if losses[-1] < math.inf:
                loss.backward()
                optimizer.step()
    return losses


def try_rates(
    network: str,
    norm: str,
    seed: int,
    start: Callable[[], Classifier],
    batches: Sequence[LabelledImages],
    rates: Sequence[float],
    *,
    momentum: float,
    weight_decay: float,
) -> list[LossCurve]:
    """The curves of a network at several learning rates, each from the same start, on the same batches.

    Args:
        network: its name.
        norm: batch, none or fixup.
        seed: which start and batches these are.
        start: makes the network as it begins, the same at every call.
        batches: on its device.
        rates: the learning rates.
        momentum: of SGD.
        weight_decay: of SGD.
    """
    curves = []
    for rate in rates:
        classifier = start()
        losses = train_shortly(classifier, batches, rate, momentum, weight_decay)
        curves.append(LossCurve(network, norm, rate, seed, len(classifier.names), tuple(losses)))
    return curves


def stable_rates(curves: Sequence[LossCurve]) -> list[float]:
    """The rates at which the network of these curves learns with every seed, from the smallest on."""
    return sorted(rate for rate in {each.rate for each in curves} if all(each.learns for each in at(curves, rate)))


def best_rate(curves: Sequence[LossCurve]) -> float:
    """The rate with the lowest mean loss at the end: a stable one, or of all where none is stable."""
    rates = stable_rates(curves) or sorted({each.rate for each in curves})
    return min(rates, key=lambda rate: fmean(each.final for each in at(curves, rate)))


def at(curves: Sequence[LossCurve], rate: float) -> list[LossCurve]:
    """The curves of one rate, one for each seed."""
    return [each for each in curves if each.rate == rate]


def by_network(curves: Sequence[LossCurve]) -> dict[tuple[str, str], list[LossCurve]]:
    """The curves of each network with each norm, in the order in which they come."""
    keys = dict.fromkeys((each.network, each.norm) for each in curves)
    return {key: [each for each in curves if (each.network, each.norm) == key] for key in keys}


def conclude_stability(curves: Sequence[LossCurve]) -> str:
    """One line: the largest stable rate of each network with and without BN, and the loss at its best one."""
    steps, seeds = len(curves[0].losses), len({each.seed for each in curves})
    parts = [f"{network} {WITH[norm]} {_conclude(some)}" for (network, norm), some in by_network(curves).items()]
    rates = ", ".join(f"{rate:g}" for rate in sorted({each.rate for each in curves}))
    return f"{'; '.join(parts)} (after {steps} steps, {seeds} seed{'s' if seeds > 1 else ''}, of the rates {rates})"


def _conclude(curves: Sequence[LossCurve]) -> str:
    stable = stable_rates(curves)
    if not stable:
        return "learns at none of the rates"
    best = best_rate(curves)
    losses = [each.final for each in at(curves, best)]
    error = f" ± {standard_error(losses):.2f}" if len(losses) > 1 else ""
    return f"learns up to {stable[-1]:g} (best {best:g}: loss {fmean(losses):.2f}{error})"
