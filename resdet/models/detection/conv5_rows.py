"""Which region classifiers can run on rows."""

from __future__ import annotations

from torch import nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.misfit import module_misfit
from resdet.models.backbones.split import Head


def conv5_on_rows(pooler: nn.Module, head: nn.Module) -> bool:
    """Whether pooling and conv5 can run on rows: RoIAlign, and post-activation bottlenecks, a projection only at the first."""
    if type(pooler) is not RoIAlign or not isinstance(pooler.output_size, int) or type(head) is not Head:
        return False
    first, *others = head.layer4
    if type(head.layer4) is not nn.Sequential or head.bn_last is not None or not isinstance(first, ResidualBlock):
        return False
    return all(isinstance(block, ResidualBlock) and block.depth == 3 and not block.preactivation for block in head.layer4) and (
        isinstance(first.downsample, nn.Sequential) and all(type(block.downsample) is nn.Identity for block in others)
    )


def conv5_misfit(pooler: nn.Module, head: Head) -> str:
    """Whether those modules around the blocks that are not called on rows are as they are written to be."""
    return module_misfit(pooler, head, head.layer4, *head.layer4)
