"""The learning curves of a run: losses, learning rate, validation."""

from __future__ import annotations

from pathlib import Path

from resdet.engine.log_file import Curve, Log, read_log
from resdet.report.curves import smooth
from resdet.report.html.blocks import Chart, Charts, Line, Section, View

_POINTS = 300  # of a line


def learning_section(path: Path) -> Section:
    """Charts of a ``log.jsonl``.

    Raises:
        ConfigError: when it cannot be read.
        DataError: when it holds no step, or a line that is no record.
    """
    log = read_log(path)
    charts = [_losses(log)]
    if "lr" in log.steps:
        lines = [_line("learning rate", log.steps["lr"])]
        last = log.steps["lr"][1][-1]
        charts.append(Chart("Learning rate", "iteration", "learning rate", {"": View(lines)}, f"It ends at {last:g}."))
    if log.scores:
        lines = [_line(name, curve) for name, curve in log.scores.items()]
        last_ones = ", ".join(f"{name} {curve[1][-1]:.3f}" for name, curve in log.scores.items())
        chart = Chart("Validation", "iteration", "", {"": View(lines)}, f"Last numbers: {last_ones}.", y_range=(0, 1))
        charts.append(chart)
    return Section("Learning", [Charts(charts)])


def _losses(log: Log) -> Chart:
    parts = {name: curve for name, curve in log.steps.items() if name.startswith("loss_")}
    curves = {"loss": log.steps["loss"], **(parts if len(parts) > 1 else {})}
    lines = [_line(name, smooth(curve)) for name, curve in curves.items()]
    heights = sorted(value for line in lines for value in line.y if value is not None)
    top = heights[max(0, int(0.98 * len(heights)) - 1)]  # the first steps may be far above all that come after
    steps, losses = log.steps["loss"]
    summary = f"The loss is {losses[0]:.3g} at iteration {steps[0]} and {losses[-1]:.3g} at iteration {steps[-1]}."
    title = "Losses, each point a mean of those around it"
    return Chart(title, "iteration", "loss", {"": View(lines)}, summary, y_range=(min(0.0, heights[0]), 1.15 * top or 1.0))


def _line(name: str, curve: Curve) -> Line:
    """A curve of few enough points, the last one among them."""
    steps, heights = curve
    every = -(-len(steps) // _POINTS)
    places = [*range(len(steps) - 1, -1, -every)][::-1]
    return Line(name, [steps[place] for place in places], [heights[place] for place in places])
