"""Networks without BN, and Fixup's start."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from narrow_networks import load_into, narrow_network, narrow_state
from rounding import ALGEBRA, assert_near
from torch import nn

from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.errors import ConfigError
from resdet.inference.load import load_classifier
from resdet.inference.save import save
from resdet.models.backbones.unnormalized import ScaleShift, fixup_init
from resdet.models.build import build_backbone, build_classifier
from resdet.models.build.backbone import build_frozen_backbone
from resdet.reference import Layers, residual_network

KINDS = [
    ("resnet18", "basic", (2, 2, 2, 2), "B", "imagenet", False),
    ("cifar_plain14", "basic", (2, 2, 2), "none", "cifar", False),
    ("cifar_preact_bottleneck11", "bottleneck", (1, 1, 1), "B", "cifar", True),
]


@pytest.mark.parametrize(("name", "block", "blocks", "option", "stem", "preactivation"), KINDS)
def test_the_same_as_the_formula(
    name: str, block: str, blocks: tuple[int, ...], option: str, stem: str, preactivation: bool
) -> None:
    torch.manual_seed(0)
    network = narrow_network(name, norm=ScaleShift).double().train()
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    for part in network.modules():
        if isinstance(part, ScaleShift):
            part.weight.data.uniform_(0.5, 2)
            part.bias.data.normal_()
    layers = Layers({key: value.clone() for key, value in network.state_dict().items()}, training=True)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = residual_network(
        images, layers, block=block, blocks=blocks, option=option, stem=stem, preactivation=preactivation
    )
    assert_near(network(images), expected, ALGEBRA)
    assert_near(network.eval()(images), expected, ALGEBRA)


@pytest.mark.parametrize(("name", "convolutions"), [("cifar_resnet14", 2), ("cifar_preact_bottleneck20", 3)])
def test_fixups_start(name: str, convolutions: int) -> None:
    """The branches are 0, so the network is its shortcuts; the other convolutions have the deviation of the paper."""
    torch.manual_seed(0)
    network = narrow_network(name, width=16, norm=ScaleShift)
    fixup_init(network)
    for block in network.blocks():
        x = torch.randn(1, block.layers[0][0].in_channels, 8, 8).relu()
        assert block.branch(x).count_nonzero() == 0
    assert network(torch.randn(1, 3, 16, 16)).count_nonzero() == 0
    expected = 6 ** (-1 / (2 * convolutions - 2))
    shares = [
        float(conv.weight.detach().square().mean().sqrt()) / math.sqrt(2 / conv.weight[0].numel())
        for block in network.blocks()
        for conv, _ in list(block.layers)[:-1]
    ]
    sizes = [conv.weight.numel() for block in network.blocks() for conv, _ in list(block.layers)[:-1]]
    for share, size in zip(shares, sizes, strict=True):  # six deviations of a deviation of so many numbers
        assert share == pytest.approx(expected, rel=6 / math.sqrt(2 * size))


def test_every_weight_is_reached_in_two_steps() -> None:
    network = narrow_network("cifar_resnet8", norm=ScaleShift)
    fixup_init(network)
    optimizer, before = torch.optim.SGD(network.parameters(), 0.1), [each.clone() for each in network.parameters()]
    for _ in range(3):  # fc, then the last of each branch, then the others
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(torch.randn(4, 3, 16, 16)), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    assert not any(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("cifar_plain8", {}, "'norm' fixup needs shortcuts; a plain network would give 0 everywhere"),
        ("cifar_resnet8", {"zero_init_last": True}, "'norm' fixup needs 'zero_init_last' false"),
    ],
)
def test_where_fixup_makes_no_sense(name: str, options: dict[str, bool], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        build_backbone(BackboneConfig(name, norm="fixup", **options), 3)


def test_detectors_need_bn() -> None:
    with pytest.raises(ConfigError, match=r"'model\.backbone\.norm' none is for classifiers"):
        build_frozen_backbone(BackboneConfig("resnet18", norm="none"))


def test_weights_with_bn_do_not_fit(tmp_path: Path) -> None:
    torch.save(narrow_state(), tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="running_mean"):
        load_into(narrow_network(norm=ScaleShift), tmp_path / "w.pth")


def test_a_model_file_keeps_it(tmp_path: Path) -> None:
    model = build_classifier(ClassifierConfig(BackboneConfig("cifar_resnet8", norm="none", width=4)), ("a", "b"))
    save(model.eval(), tmp_path / "m.safetensors")
    loaded = load_classifier(tmp_path / "m.safetensors", device="cpu").model
    assert any(isinstance(part, ScaleShift) for part in loaded.modules())
    images = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(loaded(images), model(images))
