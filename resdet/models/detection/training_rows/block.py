"""A residual block in training, on rows."""

from __future__ import annotations

from torch import Tensor, nn

from resdet.models.backbones.blocks import BasicBlock, Bottleneck, ResidualBlock
from resdet.models.backbones.misfit import block_misfit
from resdet.models.backbones.shortcuts import Projection
from resdet.models.detection.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.models.detection.training_rows.part import TrainingPart
from resdet.ops.frozen_bn import FrozenBatchNorm2d


class TrainingBlock(TrainingPart, ResidualBlock):
    """A block of which each convolution, with what follows it, is one step."""

    def misfit(self) -> str:
        """Why it is computed as it is written, whatever the input; "" where it is not."""
        return block_misfit(self, FrozenBatchNorm2d)

    def _run(self, x: Tensor) -> Tensor:
        if tensor_misfit(x) or self.plainly(self.misfit()):
            return super()._run(x)
        out = x.permute(0, 2, 3, 1)
        residual = None if self.downsample is None else self._shortcut(self.downsample, x)
        *inner, (last, last_norm) = self.layers
        for conv, norm in inner:
            out = conv_on_rows(out, conv, norm, self.matmul)
        return conv_on_rows(out, last, last_norm, self.matmul, residual=residual).permute(0, 3, 1, 2)

    def _shortcut(self, shortcut: nn.Module, x: Tensor) -> Tensor:
        """What the shortcut gives of (N, C, H, W), as rows."""
        if not isinstance(shortcut, Projection):
            rows: Tensor = shortcut(x).permute(0, 2, 3, 1)
            return rows
        read = x if shortcut.pool is None else shortcut.pool(x)
        return conv_on_rows(read.permute(0, 2, 3, 1), shortcut.conv, shortcut.norm, self.matmul, relu=False)


class TrainingBasicBlock(TrainingBlock, BasicBlock):
    """A basic block on rows."""


class TrainingBottleneck(TrainingBlock, Bottleneck):
    """A bottleneck on rows."""
