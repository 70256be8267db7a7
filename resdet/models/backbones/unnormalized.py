"""Networks without BN, for the ablation of what BN does: a scale and a shift in its place, and Fixup's start."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet


class ScaleShift(nn.Module):
    """What BN is without its normalization: ``y = weight * x + bias`` for each channel, beginning with ``y = x``.

    Args:
        channels: C, the channels of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, C, H, W), which keeps shape and dtype."""
        scale, shift = (each.to(x.dtype)[:, None, None] for each in self.affine())
        return torch.addcmul(shift, x, scale)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,)."""
        return self.weight, self.bias


@torch.no_grad()
def fixup_init(resnet: ResNet) -> None:
    """Start a residual network without BN so that its depth does not enlarge what it computes (Zhang et al. 2019, Fixup).

    The last convolution of each branch and ``fc`` begin at 0; the m - 1 others of each branch are He-normal times
    ``L ** (-1 / (2 m - 2))``, for L blocks. Fixup's scalars are the scales and shifts of ``ScaleShift``, one for each channel.

    Raises:
        ConfigError: for a plain network, or one whose branches begin at 0 already: nothing would ever reach their weights.
    """
    spec = resnet.spec
    for wrong, why in (
        (spec.shortcut == "none", "shortcuts; a plain network would give 0 everywhere"),
        (spec.zero_init_last, "'zero_init_last' false; scale and convolution at 0 would both stay there"),
    ):
        if wrong:
            raise ConfigError(f"{spec.name}: 'norm' fixup needs {why}")
    blocks = list(resnet.blocks())
    for block in blocks:
        *first, (last, _) = block.layers
        for conv, _ in first:
            conv.weight.mul_(len(blocks) ** (-1 / (2 * len(first))))
        nn.init.zeros_(last.weight)
    nn.init.zeros_(resnet.fc.weight)
