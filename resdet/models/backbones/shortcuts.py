"""The shortcut of a residual block: the paper's options A, B, C (section 4.1, "Identity vs. Projection Shortcuts")."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from resdet.models.backbones.blocks import Norm, conv1x1


class PaddedIdentity(nn.Module):
    """Option A: the input at every ``stride``-th position, with zero channels added, half before and half after.

    The paper does not say where the zeros go. Both sides is what the public CIFAR weights were trained with; another
    place is the same network with its channels in another order.

    Args:
        extra_channels: zero channels to add.
        stride: step of the sub-sampling.
    """

    def __init__(self, extra_channels: int, stride: int) -> None:
        super().__init__()
        self.before = extra_channels // 2
        self.after = extra_channels - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + extra_channels, ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class Projection(nn.Sequential):
    """Options B and C: a 1x1 convolution with the block's stride, and BN.

    ResNet-D ("Bag of Tricks", He et al. 2019) averages 2x2 positions first, so that none is skipped; its 1x1 has no stride. The
    modules are numbered as in torchvision's and timm's state dicts: convolution, BN, or average, convolution, BN.

    Args:
        in_channels: the number of the input's channels.
        out_channels: the number of the output's channels.
        stride: the stride of the block, 1 or 2.
        norm: makes the BN of so many channels; None: no BN.
        averaged: as in ResNet-D.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm | None, *, averaged: bool = False) -> None:
        parts: list[nn.Module] = []
        if averaged:
            # at the border of an odd map it is the mean of the positions that there are
            parts.append(nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False) if stride == 2 else nn.Identity())
        parts.append(conv1x1(in_channels, out_channels, 1 if averaged else stride))
        if norm is not None:
            parts.append(norm(out_channels))
        super().__init__(*parts)
        self.averaged = averaged

    @property
    def pool(self) -> nn.Module | None:
        """What comes before the convolution."""
        return self[0] if self.averaged else None

    @property
    def conv(self) -> nn.Conv2d:
        """The convolution."""
        return cast(nn.Conv2d, self[1 if self.averaged else 0])

    @property
    def norm(self) -> nn.Module | None:
        """The BN, if there is one."""
        return self[1 + self.averaged] if len(self) > 1 + self.averaged else None


def make_shortcut(
    option: str, in_channels: int, out_channels: int, stride: int, norm: Norm | None, *, averaged: bool = False
) -> nn.Module | None:
    """The shortcut from ``in_channels`` to ``out_channels`` at ``stride``.

    Args:
        option: ``"A"`` zero-padded identity; ``"B"`` 1x1 projection where the shape changes, else identity; ``"C"``
            projection everywhere; ``"none"``.
        in_channels: channels of the block's input.
        out_channels: channels of the block's output.
        stride: the stride of the block.
        norm: makes the BN that follows a projection (our choice where the paper is silent; the authors' models have it); None
            for no BN, as in a pre-activation network, whose blocks end with a convolution (He et al. 2016).
        averaged: projections are ResNet-D's.

    Returns:
        A module, or None for a plain network.
    """
    if option == "none":
        return None
    same_shape = stride == 1 and in_channels == out_channels
    if option == "C" or (option == "B" and not same_shape):
        return Projection(in_channels, out_channels, stride, norm, averaged=averaged)
    return nn.Identity() if same_shape else PaddedIdentity(out_channels - in_channels, stride)
