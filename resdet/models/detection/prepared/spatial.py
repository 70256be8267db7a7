"""The 3×3 convolutions of a prepared detector: by definition, or with fewer products, whichever is faster here.

Legend: N maps of H × W positions, C and C' channels, S = n * n positions of a region's map, R regions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resdet.models.detection.prepared.fourier import FourierConvolution
from resdet.models.detection.prepared.room import Room
from resdet.models.detection.prepared.winograd import WinogradConvolution
from resdet.ops.kernels import Kernels, described, random_like

_MAP = (20, 50)  # positions that a way is measured on: Winograd's 65 tiles of them are as many rows as it needs
_REGIONS = 32


class DirectConvolution(nn.Module):
    """A convolution with bias and a border of zeros, by its definition, and the ReLU after it, of maps (N, H, W, C).

    Args:
        weight: (C', C / groups, k, k), k odd.
        bias: (C',).
        stride: of both sides.
        groups: of channels that see only each other.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.stride, self.padding, self.groups = stride, weight.shape[-1] // 2, groups
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, H, W, C) to (N, H', W', C')."""
        planes = x.permute(0, 3, 1, 2)
        y = F.conv2d(planes, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return y.relu_().permute(0, 2, 3, 1)


class DirectOnRegions(nn.Module):
    """``DirectConvolution`` of the maps of regions, in the order (position, region).

    Args:
        conv: what it does.
    """

    def __init__(self, conv: DirectConvolution) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, maps: Tensor, _room: Room) -> Tensor:
        """Maps (P * P, R, C) to (S, R, C')."""
        side = math.isqrt(len(maps))
        x = maps.unflatten(0, (side, side)).permute(2, 0, 1, 3).contiguous()
        y: Tensor = self.conv(x)
        return y.permute(1, 2, 0, 3).flatten(0, 1).contiguous()


def map_convolution(weight: Tensor, bias: Tensor, stride: int, kernels: Kernels, groups: int = 1) -> nn.Module:
    """The fastest way to a 3×3 convolution with its ReLU of maps (N, H, W, C); with groups there is one way."""
    if groups > 1:
        return DirectConvolution(weight, bias, stride, groups)
    ways: dict[str, Callable[[], nn.Module]] = {"direct": partial(DirectConvolution, weight, bias, stride)}
    if stride == 1 and weight.dtype.itemsize >= 4:  # its transforms make rounding larger, and 16 bits have none to give away
        ways["winograd"] = partial(WinogradConvolution, weight, bias, kernels)

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        x = random_like(weight, 1, *_MAP, weight.shape[1])
        return lambda: way(x)

    return _fastest(f"3×3 of maps, {described(weight.dtype, weight.shape[:2])}, stride {stride}", ways, trial, kernels)


def region_convolution(weight: Tensor, bias: Tensor, stride: int, side: int, kernels: Kernels, groups: int = 1) -> nn.Module:
    """The fastest way to a 3×3 convolution with its ReLU of regions' maps (side * side, R, C); with groups there is one way."""
    if groups > 1:
        return DirectOnRegions(DirectConvolution(weight, bias, stride, groups))
    ways: dict[str, Callable[[], nn.Module]] = {}
    if stride == 1:
        ways["fourier"] = partial(FourierConvolution, weight, bias, side, kernels)
    ways["direct"] = lambda: DirectOnRegions(DirectConvolution(weight, bias, stride))

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        maps = random_like(weight, side * side, _REGIONS, weight.shape[1])
        return lambda: way(maps, Room(maps))

    question = f"3×3 of regions {side}×{side}, {described(weight.dtype, weight.shape[:2])}, stride {stride}"
    return _fastest(question, ways, trial, kernels)


def _fastest(
    question: str,
    ways: dict[str, Callable[[], nn.Module]],
    trial: Callable[[nn.Module], Callable[[], Tensor]],
    kernels: Kernels,
) -> nn.Module:
    made: dict[str, nn.Module] = {}

    def measured(way: str) -> Callable[[], Tensor]:
        made[way] = ways[way]()
        return trial(made[way])

    way = kernels.fastest(question, list(ways), measured)
    return made[way] if way in made else ways[way]()
