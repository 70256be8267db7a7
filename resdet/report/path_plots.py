"""Pictures of the analyses of paths, of blocks in other places, and of two networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.figures import add_legend, new_figure, save_figure

if TYPE_CHECKING:
    from resdet.analysis.differences import LayerDifference
    from resdet.analysis.paths import PathProfile
    from resdet.analysis.permutation import PermutationProfile


def plot_paths(profiles: Sequence[PathProfile], png: str | Path) -> Path:
    """By length: the share of the paths, the gradient along one of them, the share of the whole gradient (Veit, figure 6)."""
    figure, (many, one, carried) = new_figure(3, width=4.6)
    for number, profile in enumerate(profiles):
        lengths, color = [each.blocks for each in profile.lengths], f"C{number}"
        for axes, values in (
            (many, [each.paths for each in profile.lengths]),
            (carried, [each.gradient for each in profile.lengths]),
        ):
            axes.plot(lengths, [100 * value / (sum(values) or 1) for value in values], color=color, label=profile.network)
        one.errorbar(
            lengths,
            [each.norm for each in profile.lengths],
            yerr=[each.error for each in profile.lengths],
            color=color,
            capsize=2,
            label=profile.network,
        )
    one.set_yscale("log", nonpositive="mask")
    for axes, title in ((many, "paths, %"), (one, "gradient norm along a path"), (carried, "gradient of all paths, %")):
        axes.set_title(title)
        axes.set_xlabel("blocks that a path goes through")
        add_legend(axes)
    return save_figure(figure, png)


def plot_permutations(profiles: Sequence[PermutationProfile], png: str | Path) -> Path:
    """The error over Kendall's tau of the blocks' order: each draw, and the intact network at 1 (Veit, figure 5)."""
    figure, (axes,) = new_figure(1)
    for number, profile in enumerate(profiles):
        taus, errors = [tau for _, tau, _ in profile.swapped], [100 * error for _, _, error in profile.swapped]
        axes.plot(taus, errors, "o", color=f"C{number}", markersize=4, alpha=0.6, label=profile.network)
        axes.plot([1], [100 * profile.intact], "s", color=f"C{number}", markersize=6)
    axes.set_xlabel("order of the blocks, Kendall's tau (square: intact)")
    axes.set_ylabel("top-1 error, %")
    axes.set_ylim(0, 100)
    add_legend(axes)
    return save_figure(figure, png)


def plot_differences(differences: Sequence[LayerDifference], png: str | Path) -> Path:
    """By how much each layer of one network gives something else than its counterpart, logarithmic."""
    figure, (axes,) = new_figure(1, width=8)
    places = range(1, len(differences) + 1)
    axes.plot(places, [each.taken for each in differences], "o", fillstyle="none", markersize=4, label="what it takes")
    axes.plot(places, [each.given for each in differences], ".", markersize=5, label="what it gives")
    axes.set_yscale("log", nonpositive="mask")
    axes.set_xlabel("layer")
    axes.set_ylabel("difference / largest number")
    add_legend(axes)
    return save_figure(figure, png)
