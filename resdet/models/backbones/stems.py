"""What stands before the residual blocks: one convolution, or three."""

from __future__ import annotations

from typing import cast

from torch import nn

from resdet.models.backbones.blocks import Norm, conv3x3


class DeepStem(nn.Sequential):
    """Three 3x3 convolutions, the first with stride 2, in place of the 7x7 (ResNet-C and -D; He et al. 2019, "Bag of Tricks").

    BN and ReLU stand between them; those after the last one are the network's own, as after the 7x7.

    Args:
        in_channels: the number of the images' channels.
        width: the number of channels of the last convolution; the others have half as many.
        norm: makes the BN of so many channels.
    """

    def __init__(self, in_channels: int, width: int, norm: Norm) -> None:
        half = width // 2
        super().__init__(
            *(conv3x3(in_channels, half, 2), norm(half), nn.ReLU(inplace=True)),
            *(conv3x3(half, half), norm(half), nn.ReLU(inplace=True)),
            conv3x3(half, width),
        )


def make_stem(kind: str, in_channels: int, width: int, norm: Norm) -> nn.Conv2d | DeepStem:
    """The convolutions before the network's first BN.

    Args:
        kind: ``"imagenet"`` 7x7 with stride 2 (paper, table 1); ``"deep"`` see ``DeepStem``; ``"cifar"`` 3x3 with stride 1.
        in_channels: the number of the images' channels.
        width: channels of the result.
        norm: makes the BN of so many channels.
    """
    if kind == "deep":
        return DeepStem(in_channels, width, norm)
    if kind == "cifar":
        return conv3x3(in_channels, width)
    return nn.Conv2d(in_channels, width, 7, 2, padding=3, bias=False)


def stem_layers(conv1: nn.Conv2d | DeepStem, bn1: nn.Module) -> list[tuple[nn.Conv2d, nn.Module]]:
    """The convolutions of a stem that ends with the BN ``bn1``, in order, each with the BN that follows it."""
    if not isinstance(conv1, DeepStem):
        return [(conv1, bn1)]
    first, second, third = (cast(nn.Conv2d, conv1[place]) for place in (0, 3, 6))
    return [(first, conv1[1]), (second, conv1[4]), (third, bn1)]
