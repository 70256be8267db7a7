"""Draws learning curves from a run's ``log.jsonl``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.engine.log_file import Curve, Log, read_log
from resdet.errors import ConfigError
from resdet.figures import add_legend, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_log(logs: str | Path | Sequence[str | Path], png: str | Path) -> Path:
    """Draw losses, learning rate and, where there was any, evaluation over the iterations.

    Args:
        logs: a ``log.jsonl``; or several, compared and named by their folders.
        png: the picture to write, atomically.

    Returns:
        ``png`` as a path.

    Raises:
        ConfigError: when no log is given or one cannot be read.
        DataError: when a log holds no step or a line that is no record.
    """
    paths = [Path(logs)] if isinstance(logs, (str, Path)) else [Path(log) for log in logs]
    if not paths:
        raise ConfigError("learning curves: need at least one log, got none")
    folders = [path.parent.name for path in paths]
    names = folders if len(set(folders)) == len(paths) else [str(path.parent) for path in paths]
    runs = {name: read_log(path) for name, path in zip(names, paths, strict=True)}
    panels = [_draw_losses, _draw_rate] + ([_draw_scores] if any(run.scores for run in runs.values()) else [])
    figure, all_axes = new_figure(len(panels))
    for axes, draw in zip(all_axes, panels, strict=True):
        draw(axes, runs)
        axes.set_xlabel("iteration")
        axes.set_xlim(left=0)
        add_legend(axes)
    return save_figure(figure, png)


def _draw_losses(axes: Axes, runs: Mapping[str, Log]) -> None:
    axes.set_title("loss")
    heights: list[float] = []
    for number, (name, run) in enumerate(runs.items()):
        color = "black" if len(runs) == 1 else f"C{number}"
        axes.plot(*run.steps["loss"], color=color, alpha=0.2, linewidth=0.8)
        axes.plot(*smooth(run.steps["loss"]), color=color, linewidth=2, label="loss" if len(runs) == 1 else name)
        heights += run.steps["loss"][1]
        parts = [part for part in run.steps if part.startswith("loss_")] if len(runs) == 1 else []
        for part in parts if len(parts) > 1 else []:
            axes.plot(*smooth(run.steps[part]), linewidth=1.3, label=part)
    # the first steps may be far above everything that comes after
    top = sorted(heights)[math.ceil(0.98 * len(heights)) - 1]
    axes.set_ylim(0, 1.15 * top or 1)


def _draw_rate(axes: Axes, runs: Mapping[str, Log]) -> None:
    axes.set_title("learning rate")
    for number, (name, run) in enumerate(runs.items()):
        axes.plot(*run.steps.get("lr", ([], [])), color=f"C{number}", label=name if len(runs) > 1 else None)
    axes.set_ylim(bottom=0)


def _draw_scores(axes: Axes, runs: Mapping[str, Log]) -> None:
    axes.set_title("validation")
    axes.set_ylim(0, 1)
    for number, (name, run) in enumerate(runs.items()):
        for index, (score, curve) in enumerate(run.scores.items()):
            color, style = (f"C{index}", "-") if len(runs) == 1 else (f"C{number}", ("-", "--", ":", "-.")[index % 4])
            label = f"{score} (last {curve[1][-1]:.3f})" if len(runs) == 1 else f"{name} {score}"
            axes.plot(*curve, style, color=color, marker="o", markersize=4, label=label)


def smooth(curve: Curve) -> Curve:
    """Running mean over about 2 % of the points, so that the trend shows through the noise of the batches."""
    steps, heights = curve
    half = len(heights) // 100
    means = []
    for index in range(len(heights)):
        window = heights[max(0, index - half) : index + half + 1]
        means.append(sum(window) / len(window))
    return steps, means
