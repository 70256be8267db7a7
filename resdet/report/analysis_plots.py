"""Draws the pictures of ``resdet analyze``, with one colour for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.figures import add_legend, new_figure, save_figure

if TYPE_CHECKING:
    from resdet.analysis.gradients import GradientProfile
    from resdet.analysis.lesion import LesionProfile
    from resdet.analysis.responses import ResponseProfile
    from resdet.analysis.training_curves import TrainedNet

_STYLES = ("-", "--", ":", "-.")


def plot_training(groups: Mapping[str, Sequence[TrainedNet]], png: str | Path) -> Path:
    """Errors over the iterations: thin for training, bold for test (paper, figure 6); plain networks are dashed.

    The runs of a group, of several seeds, have one colour.
    """
    figure, (axes,) = new_figure(1, width=8, height=5)
    for number, (name, nets) in enumerate(groups.items()):
        for run, net in enumerate(nets):
            color, style = f"C{number}", "--" if net.plain else "-"
            axes.plot(*_in_percent(net.log.steps.get("error")), style, color=color, linewidth=0.8, alpha=0.8)
            label = name if run == 0 else None
            tested = _in_percent(net.log.scores.get("top-1 error"))
            axes.plot(*tested, style, color=color, linewidth=2.2, marker="o", markersize=3, label=label)
    axes.set_xlabel("iteration")
    axes.set_ylabel("error, % (thin: training, bold: test)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    add_legend(axes)
    return save_figure(figure, png)


def plot_gradients(profiles: Sequence[GradientProfile], png: str | Path) -> Path:
    """Gradient norms over the depth, logarithmic: of the weights, and relative to the weights; a style for each moment."""
    figure, panels = new_figure(2)
    networks = list(dict.fromkeys(profile.network for profile in profiles))
    moments = list(dict.fromkeys(profile.moment for profile in profiles))
    for profile in profiles:
        depths = [layer.depth for layer in profile.path]
        heights = ([layer.norm for layer in profile.path], [layer.relative for layer in profile.path])
        color, style = f"C{networks.index(profile.network)}", _STYLES[moments.index(profile.moment) % len(_STYLES)]
        for axes, values in zip(panels, heights, strict=True):
            axes.plot(depths, values, style, color=color, linewidth=1.5, label=f"{profile.network} {profile.moment}")
    for axes, title in zip(panels, ("gradient norm", "gradient norm / weight norm"), strict=True):
        axes.set_title(title)
        axes.set_yscale("log", nonpositive="mask")
        axes.set_xlabel("layer")
        add_legend(axes)
    return save_figure(figure, png)


def plot_responses(profiles: Sequence[ResponseProfile], png: str | Path) -> Path:
    """Standard deviations of the responses, by layer and sorted (paper, figure 7); plain networks are dashed."""
    figure, (by_layer, by_size) = new_figure(2)
    for number, profile in enumerate(profiles):
        color, style = f"C{number}", "--" if profile.plain else "-"
        deviations = [layer.deviation for layer in profile.layers]
        by_layer.plot([layer.depth for layer in profile.layers], deviations, style, color=color, label=profile.network)
        places = range(1, len(deviations) + 1)
        by_size.plot(places, sorted(deviations, reverse=True), style, color=color, label=profile.network)
    by_layer.set_title("in order of depth")
    by_layer.set_xlabel("layer")
    by_size.set_title("sorted by size")
    by_size.set_xlabel("rank")
    for axes in (by_layer, by_size):
        axes.set_ylabel("standard deviation of the response")
        axes.set_ylim(bottom=0)
        add_legend(axes)
    return save_figure(figure, png)


def plot_lesions(profiles: Sequence[LesionProfile], png: str | Path) -> Path:
    """The error without each block (thin line: intact), and without several (dots: draws, line: their mean)."""
    figure, (one, many) = new_figure(2)
    for number, profile in enumerate(profiles):
        color, style = f"C{number}", "--" if profile.plain else "-"
        errors = [100 * error for error in profile.single.values()]
        one.plot(range(1, len(errors) + 1), errors, style, color=color, marker="o", markersize=3, label=profile.network)
        one.axhline(100 * profile.intact, color=color, linewidth=0.8, alpha=0.6)
        drawn = [(len(blocks), 100 * error) for blocks, error in profile.several]
        many.plot(*_columns(drawn), "o", color=color, markersize=3, alpha=0.4)
        counts = sorted({count for count, _ in drawn})
        means = [100 * profile.average_without(count) for count in counts]
        many.plot([0, *counts], [100 * profile.intact, *means], style, color=color, label=profile.network)
    one.set_title("one block dropped")
    one.set_xlabel("block")
    many.set_title("several random blocks dropped")
    many.set_xlabel("blocks dropped")
    for axes in (one, many):
        axes.set_ylabel("top-1 error, %")
        axes.set_ylim(0, 100)
        add_legend(axes)
    return save_figure(figure, png)


def _in_percent(curve: tuple[list[int], list[float]] | None) -> tuple[list[int], list[float]]:
    steps, values = curve or ([], [])
    return steps, [100 * value for value in values]


def _columns(pairs: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [first for first, _ in pairs], [second for _, second in pairs]
