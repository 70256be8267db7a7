"""The shortcut of a residual block: the paper's options A, B, C (section 4.1, "Identity vs. Projection Shortcuts")."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


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


def make_shortcut(
    option: str, in_channels: int, out_channels: int, stride: int, norm: Callable[[int], nn.Module] | None
) -> nn.Module | None:
    """The shortcut from ``in_channels`` to ``out_channels`` at ``stride``.

    Args:
        option: ``"A"`` zero-padded identity; ``"B"`` 1x1 projection where the shape changes, else identity; ``"C"``
            projection everywhere; ``"none"``.
        in_channels: channels of the block's input.
        out_channels: channels of the block's output.
        stride: of the block.
        norm: makes the BN that follows a projection (our choice where the paper is silent; the authors' models have it); None
            for no BN, as in a pre-activation network, whose blocks end with a convolution (He et al. 2016).

    Returns:
        A module, or None for a plain network.
    """
    if option == "none":
        return None
    same_shape = stride == 1 and in_channels == out_channels
    if option == "C" or (option == "B" and not same_shape):
        projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        return nn.Sequential(projection) if norm is None else nn.Sequential(projection, norm(out_channels))
    return nn.Identity() if same_shape else PaddedIdentity(out_channels - in_channels, stride)
