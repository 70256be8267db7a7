"""The picture of the variants of residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from resdet.figures import new_figure, save_figure

if TYPE_CHECKING:
    from resdet.analysis.stability import LossCurve


def plot_identity(curves: Sequence[LossCurve], png: str | Path) -> Path:
    """The training loss at the end of each variant: dots for the seeds, a line for their mean."""
    figure, (axes,) = new_figure(1, width=8)
    names = list(dict.fromkeys(each.network for each in curves))
    for place, name in enumerate(reversed(names)):
        losses = [each.final for each in curves if each.network == name]
        axes.plot(losses, [place] * len(losses), "o", color="C0", markersize=4, alpha=0.6)
        axes.plot([fmean(losses)] * 2, [place - 0.3, place + 0.3], color="C1", linewidth=2)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xlabel("training loss at the end (missing: not finite)")
    axes.locator_params(axis="x", integer=False)
    return save_figure(figure, png)
