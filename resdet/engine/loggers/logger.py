"""What a logger takes, whatever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resdet.evaluation.thresholds import ScoreCurve
from resdet.figures import add_legend, figure_image, new_figure

BINS = 64
_CURVES = 20  # in one picture


class Histogram(NamedTuple):
    """How many values lie in each of B intervals.

    Attributes:
        counts: float64 (B,).
        edges: float64 (B + 1,), rising.
    """

    counts: NDArray[np.float64]
    edges: NDArray[np.float64]


class Logger(Protocol):
    """Takes what a run logs; names have parts with slashes between, ``train/loss``."""

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Log numbers."""

    def pictures(self, pictures: Mapping[str, Image.Image], iteration: int) -> None:
        """Log RGB pictures."""

    def curves(self, curves: Mapping[str, ScoreCurve], iteration: int) -> None:
        """Log precision and recall of classes."""

    def histograms(self, histograms: Mapping[str, Histogram], iteration: int) -> None:
        """Log how values are distributed."""

    def close(self) -> None:
        """Finish: nothing more follows."""


def histogram(values: Tensor) -> Histogram:
    """The histogram of a tensor's finite values, over their range; a ValueError when there are none."""
    values = values.detach().float().flatten()
    values = values[values.isfinite()]
    if not len(values):
        raise ValueError("a histogram needs at least one finite value, got none")
    low, high = float(values.min()), float(values.max())
    if low == high:  # all in the middle of one wide interval
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(values, BINS, low, high)
    return Histogram(counts.double().cpu().numpy(), np.linspace(low, high, BINS + 1))


def curves_picture(curves: Mapping[str, ScoreCurve]) -> Image.Image:
    """Precision over recall, a line for each class, of the first 20."""
    figure, (axes,) = new_figure(1)
    for name, curve in list(curves.items())[:_CURVES]:
        axes.plot(curve.right / max(1, curve.objects), curve.right / np.maximum(1, curve.right + curve.wrong), label=name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.locator_params(axis="x", integer=False)
    add_legend(axes)
    return figure_image(figure)
