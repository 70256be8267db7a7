"""The networks for ImageNet's images: the paper's (table 1), and those that others made of them."""

from __future__ import annotations

from typing import Any

from resdet.models.backbones.registry import register_family
from resdet.models.backbones.resnet import ResNet, build_plain, build_resnet

# depth: the block, and how many of them conv2_x, conv3_x, conv4_x and conv5_x have
_TABLE_1 = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


@register_family("resnet{}", *_TABLE_1)
def resnet(depth: int, **options: Any) -> ResNet:
    """ResNet-18, 34, 50, 101 or 152; the options are those of ``build_resnet``."""
    return build_resnet(f"resnet{depth}", *_TABLE_1[depth], **options)


@register_family("plain{}", 18, 34)
def plain(depth: int, **options: Any) -> ResNet:
    """The plain network of 18 or 34 layers: a ResNet without shortcuts; the options are those of ``build_resnet``."""
    return build_plain(f"plain{depth}", *_TABLE_1[depth], **options)


@register_family("preact_resnet{}", *_TABLE_1)
def preact_resnet(depth: int, **options: Any) -> ResNet:
    """A ResNet of pre-activation blocks (He et al. 2016); the options are those of ``build_resnet``."""
    return build_resnet(f"preact_resnet{depth}", *_TABLE_1[depth], preactivation=True, **options)


@register_family("resnext{}_32x4d", 50)
def resnext_32x4d(depth: int, **options: Any) -> ResNet:
    """ResNeXt-50 with 3x3s of 32 groups of 4 channels (Xie et al. 2017); the options are those of ``build_resnet``."""
    return build_resnet(f"resnext{depth}_32x4d", *_TABLE_1[depth], groups=32, base_width=4, **options)


@register_family("resnext{}_32x8d", 101)
def resnext_32x8d(depth: int, **options: Any) -> ResNet:
    """ResNeXt-101 with 3x3s of 32 groups of 8 channels (Xie et al. 2017); the options are those of ``build_resnet``."""
    return build_resnet(f"resnext{depth}_32x8d", *_TABLE_1[depth], groups=32, base_width=8, **options)


@register_family("wide_resnet{}_2", 50, 101)
def wide_resnet_2(depth: int, **options: Any) -> ResNet:
    """A ResNet with 3x3s of twice the channels (Zagoruyko and Komodakis 2016); the options are those of ``build_resnet``."""
    return build_resnet(f"wide_resnet{depth}_2", *_TABLE_1[depth], base_width=128, **options)


@register_family("resnet{}d", *_TABLE_1)
def resnet_d(depth: int, **options: Any) -> ResNet:
    """ResNet-D (He et al. 2019, "Bag of Tricks"), as timm has it; the options are those of ``build_resnet``."""
    return build_resnet(f"resnet{depth}d", *_TABLE_1[depth], stem="deep", averaged_shortcut=True, **options)
