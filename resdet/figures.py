"""Makes figures without a window, and writes them atomically."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from resdet.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(panels: int, *, width: float = 6.0, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """A figure of ``panels`` axes side by side, each ``width`` x ``height`` inches; a light grid, whole numbers along x."""
    figure = blank_figure(width * panels, height)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for panel in axes:
        panel.grid(alpha=0.3)
        panel.locator_params(axis="x", integer=True)
    return figure, axes


def save_figure(figure: Figure, picture: str | Path) -> Path:
    """Write a figure as a PNG or an SVG, whichever the path ends with, atomically; the same figure gives the same bytes."""
    from matplotlib import rc_context

    picture = Path(picture)
    kind = picture.suffix.lower().removeprefix(".")
    undated: dict[str, Any] | None = {"Date": None} if kind == "svg" else None
    with rc_context({"svg.hashsalt": "resdet"}):
        atomic_write(picture, lambda temporary: figure.savefig(temporary, format=kind, dpi=110, metadata=undated))
    return picture


def figure_image(figure: Figure) -> Image.Image:
    """A figure as an RGB picture."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=110)
        return Image.open(file).convert("RGB")


def add_legend(axes: Axes) -> None:
    """Add a small legend when there are several things to tell apart."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small", framealpha=0.8)
