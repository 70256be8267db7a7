"""The blocks and the stem in training on a GPU: each convolution, with its frozen BN, a sum and a ReLU, is one step.

The maps lie channels last, as the kernels of 16-bit convolutions read them.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from resdet.models.backbones.blocks import BasicBlock, Bottleneck, ResidualBlock
from resdet.models.backbones.misfit import block_misfit, has_global_hooks, stem_misfit
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.split import Trunk
from resdet.models.backbones.stems import stem_layers
from resdet.models.detection.training_rows.part import TrainingPart
from resdet.ops.conv_relu import Window, scaled_conv
from resdet.ops.frozen_bn import FrozenBatchNorm2d

_AFFINES: WeakKeyDictionary[nn.Module, tuple[list[tuple[int, int]], Tensor, Tensor]] = WeakKeyDictionary()


def _fits(x: Tensor) -> bool:
    """Whether anything is fused of ``x`` now."""
    return x.is_cuda and not torch.compiler.is_compiling() and not has_global_hooks()


def _maps(x: Tensor) -> Tensor:
    """Maps as the convolutions take them: in autocast's number format, channels last."""
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x.dtype
    return x.to(dtype, memory_format=torch.channels_last)


def _affine(norm: nn.Module | None, bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Scale and shift of a frozen BN, computed again when its numbers have changed; without one the bias is the shift."""
    if not isinstance(norm, FrozenBatchNorm2d):
        return None, bias
    state = [(buffer.data_ptr(), buffer._version) for buffer in norm.buffers()]
    if norm not in _AFFINES or _AFFINES[norm][0] != state:
        _AFFINES[norm] = state, *norm.affine()
    return _AFFINES[norm][1:]


def _step(
    x: Tensor, conv: nn.Conv2d, norm: nn.Module | None, residual: Tensor | None = None, extra: Tensor | None = None
) -> Tensor:
    """``relu(norm(conv(x)) + residual + extra)``; ``extra``: (K,)."""
    scale, shift = _affine(norm, conv.bias)
    if extra is not None:
        shift = extra if shift is None else shift + extra
    return scaled_conv(x, conv.weight, Window.of(conv), scale=scale, shift=shift, residual=residual)


class GPUBlock(TrainingPart, ResidualBlock):
    """A block whose sum and ReLUs are computed with its convolutions."""

    def _run(self, x: Tensor) -> Tensor:
        if not _fits(x) or self.plainly(block_misfit(self, FrozenBatchNorm2d)):
            return super()._run(x)
        out, residual, extra = _maps(x), None, None
        if isinstance(self.downsample, Projection):
            residual, extra = self._projected(self.downsample, out)
        elif self.downsample is not None:
            residual = _maps(self.downsample(out))
        *inner, (last, last_norm) = self.layers
        for conv, norm in inner:
            out = _step(out, conv, norm)
        return _step(out, last, last_norm, residual, extra)

    def _projected(self, shortcut: Projection, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the projection gives without its shift, and the shift, which is added with that of the last convolution."""
        read = x if shortcut.pool is None else shortcut.pool(x)
        scale, shift = _affine(shortcut.norm, shortcut.conv.bias)
        return scaled_conv(read, shortcut.conv.weight, Window.of(shortcut.conv), scale=scale, relu=False), shift


class GPUBasicBlock(GPUBlock, BasicBlock):
    """A basic block on a GPU."""


class GPUBottleneck(GPUBlock, Bottleneck):
    """A bottleneck on a GPU."""


class GPUTrunk(TrainingPart, Trunk):
    """A trunk whose stem's ReLUs are computed with its convolutions; its stages have blocks of their own."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16))."""
        if not _fits(x) or self.plainly(stem_misfit(self.conv1, self.bn1, self.relu, FrozenBatchNorm2d)):
            return super().forward(x)
        x = _maps(x)
        for conv, norm in stem_layers(self.conv1, self.bn1):
            x = _step(x, conv, norm)
        return self.layer3(self.layer2(self.layer1(self.maxpool(x))))
