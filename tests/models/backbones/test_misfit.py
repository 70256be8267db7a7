"""What is in the way of another code for a stem or a block is said; nothing is in the way of the registry's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from residual_blocks import residual_block
from torch import nn

from resdet.models.backbones.blocks import Bottleneck
from resdet.models.backbones.misfit import block_misfit, bottleneck_misfit, stem_misfit
from resdet.models.backbones.registry import create_backbone, list_backbones
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.stems import DeepStem

_FIXED_DEPTH = [name for name in list_backbones() if not name.startswith("cifar")]


def _stem(network: ResNet) -> str:
    return stem_misfit(network.conv1, network.bn1, network.relu, nn.BatchNorm2d)


@pytest.mark.parametrize("name", _FIXED_DEPTH)
def test_the_registrys_networks_are_as_they_are_written(name: str) -> None:
    network = create_backbone(name, width=16)
    assert _stem(network) == ""
    for block in network.blocks():
        assert block_misfit(block, nn.BatchNorm2d) == ""
        assert (bottleneck_misfit(block) == "") == isinstance(block, Bottleneck)
        assert "BatchNorm2d beside" in block_misfit(block)


class OtherStem(DeepStem):
    pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda stem: stem.register_forward_hook(print), "a hook of a DeepStem"),
        (lambda stem: stem[3].register_forward_hook(print), "a hook of a Conv2d"),
        (lambda stem: stem[5].register_forward_hook(print), "a hook of a ReLU"),
        (lambda stem: stem.__setitem__(2, nn.Tanh()), "Tanh in place of ReLU"),
        (lambda stem: stem.__setitem__(4, nn.GroupNorm(2, 8)), "GroupNorm beside"),
        (lambda stem: stem.append(nn.ReLU()), "a DeepStem of 8 modules as a stem"),
        (lambda stem: setattr(stem, "__class__", OtherStem), "a OtherStem of 7 modules as a stem"),
    ],
)
def test_a_changed_deep_stem(change: Callable[[DeepStem], object], said: str) -> None:
    network = create_backbone("resnet18d", width=16)
    assert isinstance(network.conv1, DeepStem)
    change(network.conv1)
    assert said in _stem(network)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda block: setattr(block, "conv2", nn.Conv2d(4, 4, 1, 2)), "in place of a 3×3"),
        (lambda block: setattr(block, "conv3", nn.Conv2d(4, 16, 1, groups=2)), "in place of a 1×1 of one group"),
        (lambda block: setattr(block, "conv1", nn.Conv2d(8, 4, 3, padding=1)), "in place of a 1×1 of one group"),
        (lambda block: block.downsample.__setitem__(1, nn.Conv2d(8, 16, 3, 2, 1)), "in place of a 1×1 of one group"),
        (lambda block: setattr(block.conv3, "stride", (2, 2)), r"a stride of (2, 2) in the last 1×1"),
    ],
)
def test_another_bottleneck(change: Callable[[nn.Module], object], said: str) -> None:
    block = residual_block("bottleneck", (8, 4, 2), averaged=True)
    change(block)
    assert said in bottleneck_misfit(block)


def test_a_projection_with_more_than_it_has() -> None:
    for averaged, length in ((False, 3), (True, 4)):
        block = residual_block("bottleneck", (8, 4, 2), averaged=averaged)
        block.downsample.append(nn.BatchNorm2d(16))
        assert block_misfit(block, nn.BatchNorm2d) == f"a Projection of {length} modules as a shortcut"
