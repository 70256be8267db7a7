"""The picture of networks with and without BN at several learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from resdet.figures import add_legend, new_figure, save_figure

if TYPE_CHECKING:
    from resdet.analysis.stability import LossCurve

_STYLES = {"batch": "-", "none": "--", "fixup": ":"}


def plot_rates(curves: Sequence[LossCurve], png: str | Path) -> Path:
    """The loss at the end over the rate, of each seed and their mean, and the curve at the best rate; grey: a guess."""
    from resdet.analysis.stability import best_rate, by_network

    figure, (by_rate, by_step) = new_figure(2)
    networks = list(dict.fromkeys(each.network for each in curves))
    guess = math.log(curves[0].classes)
    for (network, norm), some in by_network(curves).items():
        color, style, label = f"C{networks.index(network)}", _STYLES[norm], f"{network}, {norm}"
        finite = [each for each in some if each.final < math.inf]
        by_rate.plot([each.rate for each in finite], [each.final for each in finite], "o", color=color, markersize=3, alpha=0.5)
        rates = sorted({each.rate for each in finite})
        means = [fmean(each.final for each in finite if each.rate == rate) for rate in rates]
        by_rate.plot(rates, means, style, color=color, label=label)
        best = best_rate(some)
        for number, each in enumerate(each for each in some if each.rate == best):
            by_step.plot(each.losses, style, color=color, linewidth=1, label=f"{label}: {best:g}" if number == 0 else None)
    by_rate.set_xscale("log")
    by_rate.set_xlabel("learning rate (missing: not finite)")
    by_step.set_xlabel("step, at the best rate")
    for axes in (by_rate, by_step):
        axes.axhline(guess, color="0.6", linewidth=0.8)
        axes.set_ylabel("training loss")
        axes.set_ylim(0, 2 * guess)
        add_legend(axes)
    return save_figure(figure, png)
