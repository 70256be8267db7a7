"""A residual block in training, on rows."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.misfit import block_misfit
from resdet.models.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.models.training_rows.part import TrainingPart
from resdet.ops.frozen_bn import FrozenBatchNorm2d


class TrainingBlock(TrainingPart, ResidualBlock):
    """A post-activation block of which each convolution, with what follows it, is one step."""

    def misfit(self) -> str:
        """Why it is computed as it is written, whatever the input; "" where it is not."""
        return "it is a pre-activation block" if self.preactivation else block_misfit(self, FrozenBatchNorm2d)

    def _postactivated(self, x: Tensor) -> Tensor:
        if tensor_misfit(x) or self.plainly(self.misfit()):
            return super()._postactivated(x)
        out = rows = x.permute(0, 2, 3, 1)
        residual = None
        if isinstance(self.downsample, nn.Sequential):
            conv, *norm = self.downsample
            residual = conv_on_rows(rows, cast(nn.Conv2d, conv), norm[0] if norm else None, self.matmul, relu=False)
        elif self.downsample is not None:
            residual = self.downsample(x).permute(0, 2, 3, 1)
        for number in range(1, self.depth + 1):
            last = number == self.depth
            conv, norm = getattr(self, f"conv{number}"), getattr(self, f"bn{number}")
            out = conv_on_rows(out, conv, norm, self.matmul, residual=residual if last else None)
        return out.permute(0, 3, 1, 2)
