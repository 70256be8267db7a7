"""Which region classifiers can run on rows."""

from __future__ import annotations

from typing import cast

from torch import nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import Bottleneck
from resdet.models.backbones.misfit import module_misfit
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.split import Head


def conv5_on_rows(pooler: nn.Module, head: nn.Module) -> bool:
    """Whether pooling and conv5 can run on rows: RoIAlign, and bottlenecks with a projection at the first, and only there."""
    if type(pooler) is not RoIAlign or not isinstance(pooler.output_size, int) or type(head) is not Head:
        return False
    if type(head.layer4) is not nn.Sequential or head.bn_last is not None:
        return False
    shortcuts = [block.downsample for block in head.layer4 if isinstance(block, Bottleneck)]
    if len(shortcuts) < len(head.layer4):
        return False
    first, *others = shortcuts
    return isinstance(first, Projection) and first.pool is None and all(type(other) is nn.Identity for other in others)


def conv5_blocks(head: Head) -> tuple[Bottleneck, Projection, list[Bottleneck]]:
    """The first block of a conv5 that can run on rows, its projection, and the other blocks."""
    first, *others = cast("list[Bottleneck]", list(head.layer4))
    return first, cast(Projection, first.downsample), others


def conv5_misfit(pooler: nn.Module, head: Head) -> str:
    """Whether those modules around the blocks that are not called on rows are as they are written to be."""
    return module_misfit(pooler, head, head.layer4, *head.layer4)
