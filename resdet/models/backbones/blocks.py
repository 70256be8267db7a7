"""The residual blocks: a branch of convolutions and a shortcut, added (paper, section 3 and figure 5)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from resdet.models.backbones.recompute import recomputed
from resdet.models.backbones.untouched import untouched

Norm = Callable[[int], nn.Module]


class ResidualBlock(nn.Module, ABC):
    """``y = relu(branch(x) + shortcut(x))``; a class below says what the branch is.

    Names of the layers, and so the state dict's keys, are torchvision's.

    Attributes:
        downsample: the shortcut, whose output has the branch's shape; None in a plain network.
        recompute: in training, keep only the block's input, and run it once more on the way back: less memory, more time.
        drop: in training, the probability that the block is its shortcut alone (stochastic depth, Huang et al. 2016).
    """

    relu: nn.ReLU
    downsample: nn.Module | None
    recompute: bool = False
    drop: float = 0.0

    @property
    @abstractmethod
    def layers(self) -> Sequence[tuple[nn.Conv2d, nn.Module | None]]:
        """The convolutions of the branch in order, each with the BN that follows it."""

    @abstractmethod
    def branch(self, x: Tensor) -> Tensor:
        """The branch alone: (N, C, H, W) to (N, C', H', W')."""

    @property
    def last_norm(self) -> nn.Module:
        """The BN of the last convolution; ``layers`` says whether it stands after or before it."""
        _, norm = self.layers[-1]
        return cast(nn.Module, norm)  # the first alone may be missing

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        # drawn from the CPU's generator, which is alike in all processes of a run, and outside of what is run twice
        if self.drop and self.training and float(torch.rand(())) < self.drop:
            return untouched(self._shortcut_alone(x), self.parameters())
        return recomputed(self, self._run, x) if self.recompute and self.training else self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        out = self._kept(self.branch(x))
        if self.downsample is not None:
            out += self.downsample(x)
        return self.relu(out)

    def _shortcut_alone(self, x: Tensor) -> Tensor:
        return torch.relu(cast(nn.Module, self.downsample)(x))

    def _kept(self, branch: Tensor) -> Tensor:
        """What a branch that was not dropped adds: more in training, so that its mean is what it adds in testing."""
        return branch / (1 - self.drop) if self.drop and self.training else branch


class BasicBlock(ResidualBlock):
    """3x3 with the stride, 3x3 (paper, figure 5, left).

    Args:
        in_channels: the number of the input's channels.
        out_channels: of both convolutions.
        stride: the stride of the block.
        norm: makes the BN of so many channels.
        shortcut: same output shape as the branch; None for a block of a plain network.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = norm(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    @property
    def layers(self) -> Sequence[tuple[nn.Conv2d, nn.Module]]:
        """See ``ResidualBlock``."""
        return (self.conv1, self.bn1), (self.conv2, self.bn2)

    def branch(self, x: Tensor) -> Tensor:
        """See ``ResidualBlock``."""
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.bn2(self.conv2(x))
        return out


class Bottleneck(ResidualBlock):
    """1x1, 3x3, 1x1 (paper, figure 5, right).

    With ``groups`` the 3x3 is that many convolutions side by side, as in ResNeXt (Xie et al. 2017).

    Args:
        in_channels: the number of the input's channels.
        width: channels between the two 1x1.
        out_channels: the number of the output's channels.
        stride: the stride of the block.
        norm: makes the BN of so many channels.
        shortcut: same output shape as the branch; None for a block of a plain network.
        groups: the number of groups of the 3x3; it divides ``width``.
        stride_in_1x1: the stride is in the first 1x1 (paper) instead of the 3x3 (torchvision).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        stride: int,
        norm: Norm,
        shortcut: nn.Module | None,
        *,
        groups: int = 1,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = conv1x1(in_channels, width, first)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, second, groups)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, out_channels)
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    @property
    def layers(self) -> Sequence[tuple[nn.Conv2d, nn.Module]]:
        """See ``ResidualBlock``."""
        return (self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)

    def branch(self, x: Tensor) -> Tensor:
        """See ``ResidualBlock``."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        out: Tensor = self.bn3(self.conv3(x))
        return out


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias; zeros around the map keep its size at stride 1."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)
