"""The residual blocks in which BN and ReLU come before each convolution (He et al. 2016, "Identity Mappings")."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from resdet.models.backbones.blocks import Norm, ResidualBlock, conv1x1, conv3x3


class PreactBlock(ResidualBlock):
    """``y = branch(x) + shortcut(x)``, the branch beginning with BN and ReLU; nothing follows the sum.

    An identity shortcut takes ``x`` itself; one that changes the map takes what the branch's first ReLU gives.

    Attributes:
        bn1: the branch's first BN; None where the input comes from a ReLU already, as the first block's does from the stem's.
    """

    bn1: nn.Module | None

    @property
    @abstractmethod
    def layers(self) -> Sequence[tuple[nn.Conv2d, nn.Module | None]]:
        """The convolutions of the branch in order, each with the BN before it."""

    @abstractmethod
    def branch(self, x: Tensor) -> Tensor:
        """The branch after its first BN and ReLU: (N, C, H, W) to (N, C', H', W')."""

    def _run(self, x: Tensor) -> Tensor:
        activated = self._activated(x)
        out = self._kept(self.branch(activated))
        if self.downsample is not None:
            out = out + self.downsample(x if isinstance(self.downsample, nn.Identity) else activated)
        return out

    def _activated(self, x: Tensor) -> Tensor:
        return x if self.bn1 is None else self.relu(self.bn1(x))

    def _shortcut_alone(self, x: Tensor) -> Tensor:
        shortcut = cast(nn.Module, self.downsample)
        return cast(Tensor, shortcut(x if isinstance(shortcut, nn.Identity) else self._activated(x)))


class PreactBasicBlock(PreactBlock):
    """3x3 with the stride, 3x3, each after BN and ReLU.

    Args:
        in_channels: the number of the input's channels.
        out_channels: of both convolutions.
        stride: the stride of the block.
        norm: makes the BN of so many channels.
        shortcut: same output shape as the branch; None for a block of a plain network.
        activated_input: the input comes from a ReLU: the block begins with its convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm: Norm,
        shortcut: nn.Module | None,
        *,
        activated_input: bool = False,
    ) -> None:
        super().__init__()
        self.bn1 = None if activated_input else norm(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn2 = norm(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    @property
    def layers(self) -> Sequence[tuple[nn.Conv2d, nn.Module | None]]:
        """See ``PreactBlock``."""
        return (self.conv1, self.bn1), (self.conv2, self.bn2)

    def branch(self, x: Tensor) -> Tensor:
        """See ``PreactBlock``."""
        x = self.conv1(x)
        return self.conv2(self.relu(self.bn2(x)))


class PreactBottleneck(PreactBlock):
    """1x1, 3x3, 1x1, each after BN and ReLU.

    Args:
        in_channels: the number of the input's channels.
        width: channels between the two 1x1.
        out_channels: the number of the output's channels.
        stride: the stride of the block.
        norm: makes the BN of so many channels.
        shortcut: same output shape as the branch; None for a block of a plain network.
        groups: the number of groups of the 3x3; it divides ``width``.
        stride_in_1x1: the stride is in the first 1x1 instead of the 3x3.
        activated_input: the input comes from a ReLU: the block begins with its convolution.
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
        activated_input: bool = False,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.bn1 = None if activated_input else norm(in_channels)
        self.conv1 = conv1x1(in_channels, width, first)
        self.bn2 = norm(width)
        self.conv2 = conv3x3(width, width, second, groups)
        self.bn3 = norm(width)
        self.conv3 = conv1x1(width, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    @property
    def layers(self) -> Sequence[tuple[nn.Conv2d, nn.Module | None]]:
        """See ``PreactBlock``."""
        return (self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)

    def branch(self, x: Tensor) -> Tensor:
        """See ``PreactBlock``."""
        x = self.conv1(x)
        x = self.conv2(self.relu(self.bn2(x)))
        return self.conv3(self.relu(self.bn3(x)))
