"""Which region classifiers can run on rows."""

from __future__ import annotations

from typing import cast

from torch import nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.split import Head


def conv5_on_rows(pooler: nn.Module, head: nn.Module) -> bool:
    """Whether pooling and conv5 can run on rows: RoIAlign, and post-activation bottlenecks, a projection only at the first."""
    if type(pooler) is not RoIAlign or not isinstance(pooler.output_size, int) or not isinstance(head, Head):
        return False
    first, *others = cast("list[ResidualBlock]", list(head.layer4))
    return all(block.depth == 3 and not block.preactivation for block in (first, *others)) and (
        isinstance(first.downsample, nn.Sequential) and all(isinstance(block.downsample, nn.Identity) for block in others)
    )
