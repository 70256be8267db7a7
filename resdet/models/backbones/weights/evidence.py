"""What the numbers of a weights file say about the images it was trained on.

BN keeps the variance of conv1's output; with the covariance of natural images, conv1's filters say what that variance is for
input of unit standard deviation. The ratio is the input's scale: about 1 for normalized input, about 58 for bytes with only
the mean taken off. On real weights the estimate is within 20 % of the truth, and the two are a factor of 58 apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from resdet.structures import PixelConvention

# natural images: correlation of neighbouring pixels, correlation of two colours at one pixel, and the standard deviation of
# a pixel as a share of white (torchvision's std). Any plausible values lead to the same verdict.
_NEIGHBOUR, _COLOUR, _PIXEL_STD = 0.95, 0.9, 0.226
# the geometric middle between normalized input and bytes
_CONTRADICTION = math.sqrt(_PIXEL_STD * 255)


def input_scale(state: Mapping[str, Tensor]) -> float | None:
    """Estimate the standard deviation of the input that ``state`` was trained on.

    Args:
        state: ``conv1.weight`` (K, C, k, k) and ``bn1.running_var`` (K,), among others; of a deep stem its first layers.

    Returns:
        The median over conv1's filters, or None where the file keeps no statistics: all means 0, all variances 1, or 1 less
        the epsilon that makes a frozen BN the identity.
    """
    conv, norm = ("conv1.0", "conv1.1") if "conv1.0.weight" in state else ("conv1", "bn1")
    keys = (f"{conv}.weight", f"{norm}.running_var", f"{norm}.running_mean")
    if not all(key in state for key in keys):
        return None
    weight, variance, mean = (state[key].double() for key in keys)
    if weight.ndim != 4 or not weight.numel() or variance.shape != weight.shape[:1]:
        return None
    if _is_identity(mean, variance):
        return None
    expected = _filter_variances(weight)
    live = (variance > 1e-3 * variance.max()) & (expected > 0)
    return float((variance[live] / expected[live]).sqrt().median()) if bool(live.any()) else None


def layers_with_statistics(state: Mapping[str, Tensor]) -> list[str]:
    """The BN layers of ``state``, ``"layer1.0.bn2"`` for instance, but those of mean 0 and variance 1 (or 1 less epsilon)."""
    layers = [key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")]
    return [each for each in layers if not _is_identity(state[f"{each}.running_mean"], state[f"{each}.running_var"])]


def expected_scale(pixels: PixelConvention) -> float:
    """The standard deviation of natural images under a pixel convention: 1 for torchvision's, 58 for the authors'."""
    return _PIXEL_STD * pixels.range / (sum(pixels.std) / 3)


def contradicts(scale: float, pixels: PixelConvention) -> bool:
    """Whether weights trained on input of standard deviation ``scale`` clearly want another convention than ``pixels``."""
    return abs(math.log(scale / expected_scale(pixels))) > math.log(_CONTRADICTION)


def _is_identity(mean: Tensor, variance: Tensor) -> bool:
    return bool((mean == 0).all() and ((variance - 1).abs() < 1e-4).all())


def _filter_variances(weight: Tensor) -> Tensor:
    """The variance (K,) of each filter's response to natural images of unit variance: w' (colour x column x row) w."""
    _, colours, height, width = weight.shape
    positions = torch.kron(_decaying_correlation(height), _decaying_correlation(width))
    covariance = torch.kron(_constant_correlation(colours), positions)
    filters = weight.flatten(1)
    return ((filters @ covariance.to(filters)) * filters).sum(1)


def _decaying_correlation(size: int) -> Tensor:
    position = torch.arange(size, dtype=torch.float64)
    return torch.as_tensor(_NEIGHBOUR, dtype=torch.float64) ** (position[:, None] - position).abs()


def _constant_correlation(size: int) -> Tensor:
    return torch.full((size, size), _COLOUR, dtype=torch.float64).fill_diagonal_(1.0)
