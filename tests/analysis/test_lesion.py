"""Lesions against networks that are built without the block."""

from __future__ import annotations

import re

import pytest
import rounding
import torch
from hypothesis import given
from hypothesis import strategies as st
from rounding import assert_near
from torch import Tensor, nn

from resdet.analysis.lesion import (
    LesionProfile,
    conclude_lesions,
    droppable_blocks,
    lesion_errors,
    measure_lesions,
    random_lesions,
    without_blocks,
)
from resdet.data.loading.batches import ClassificationBatch
from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet, build_resnet
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS

ROUNDING = rounding.network(20, 9 * 16, torch.float32)


def network(layers: tuple[int, ...] = (2, 3, 2), **options: object) -> ResNet:
    """Random weights and BN, so that no block does nothing by chance."""
    torch.manual_seed(0)
    options = {"num_classes": 3, "width": 4, "stem": "cifar", "shortcut": "B", **options}
    resnet = build_resnet("tiny", str(options.pop("block", "basic")), layers, **options)
    for part in resnet.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    return resnet.eval()


def images(count: int = 3) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(count, 3, 16, 16)


def built_without(resnet: ResNet, stage: int, index: int, **options: object) -> ResNet:
    """The network that never had the block: one less in its stage, the later ones renumbered."""
    layers = tuple(count - (number == stage) for number, count in enumerate(resnet.spec.layers, 1))
    state = {}
    for key, value in resnet.state_dict().items():
        found = re.match(rf"layer{stage}\.(\d+)\.(.*)", key)
        if not found:
            state[key] = value
        elif int(found[1]) != index:
            state[f"layer{stage}.{int(found[1]) - (int(found[1]) > index)}.{found[2]}"] = value
    smaller = network(layers, **options)
    smaller.load_state_dict(state)
    return smaller


@pytest.mark.parametrize(
    "options",
    [
        {"shortcut": "A"},
        {"shortcut": "B"},
        {"shortcut": "none"},
        {"shortcut": "B", "block": "bottleneck"},
        {"shortcut": "A", "preactivation": True},
        {"shortcut": "B", "preactivation": True, "block": "bottleneck"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("stage", "index"), [(1, 1), (2, 1), (2, 2), (3, 1)])
@torch.no_grad()
def test_a_block_that_keeps_the_shape_is_as_if_never_built(options: dict[str, object], stage: int, index: int) -> None:
    resnet, x = network(**options), images()
    expected = built_without(resnet, stage, index, **options)(x)
    whole = resnet(x)
    with without_blocks(resnet, [f"layer{stage}.{index}"]):
        found = resnet(x)
    assert_near(found, expected, ROUNDING)
    assert not torch.allclose(found, whole)
    assert torch.equal(resnet(x), whole)


@torch.no_grad()
def test_two_blocks() -> None:
    resnet, x = network(), images()
    expected = built_without(built_without(resnet, 2, 2), 1, 1)(x)
    with without_blocks(resnet, ["layer1.1", "layer2.2"]):
        assert_near(resnet(x), expected, ROUNDING)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@torch.no_grad()
def test_a_block_that_changes_the_shape_keeps_its_shortcut(shortcut: str) -> None:
    resnet, x = network(shortcut=shortcut), images()
    block = resnet.layer2[0]
    features = resnet.layer1(resnet.bn1(resnet.conv1(x)).relu())
    expected = block.downsample(features).relu()
    expected = resnet.fc(resnet.layer3(resnet.layer2[2](resnet.layer2[1](expected))).mean((2, 3)))
    with without_blocks(resnet, ["layer2.0"]):
        assert_near(resnet(x), expected, ROUNDING)


@torch.no_grad()
def test_a_preactivation_block_that_changes_the_shape_keeps_its_shortcut() -> None:
    resnet, x = network(shortcut="B", preactivation=True), images()
    block = resnet.layer2[0]
    features = resnet.layer1(resnet.bn1(resnet.conv1(x)).relu())
    expected = block.downsample(block.bn1(features).relu())
    expected = resnet.layer3(resnet.layer2[2](resnet.layer2[1](expected)))
    expected = resnet.fc(resnet.bn_last(expected).relu().mean((2, 3)))
    with without_blocks(resnet, ["layer2.0"]):
        assert_near(resnet(x), expected, ROUNDING)


def test_which_blocks_can_be_dropped() -> None:
    every = ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer2.2", "layer3.0", "layer3.1"]
    assert droppable_blocks(network()) == every
    assert droppable_blocks(network(shortcut="none")) == ["layer1.0", "layer1.1", "layer2.1", "layer2.2", "layer3.1"]
    with pytest.raises(ConfigError, match="tiny: has no shortcuts, and every block changes the shape"):
        droppable_blocks(network((1, 1), block="bottleneck", shortcut="none"))
    with (
        pytest.raises(ConfigError, match=r"'layer2\.0' cannot be dropped"),
        without_blocks(network(shortcut="none"), ["layer2.0"]),
    ):
        pass


def test_nothing_is_left_behind_by_an_error() -> None:
    resnet = network()
    with pytest.raises(RuntimeError), without_blocks(resnet, ["layer1.0", "layer2.0"]):
        raise RuntimeError
    assert not any(part._forward_hooks for part in resnet.modules())


def classifier(**options: object) -> Classifier:
    return Classifier(network(**options), PIXEL_CONVENTIONS["torchvision"], ["a", "b", "c"])


def batches() -> list[ClassificationBatch]:
    torch.manual_seed(2)
    return [
        ClassificationBatch(torch.randint(256, (n, 3, 16, 16), dtype=torch.uint8), torch.randint(3, (n,)), ("",) * n)
        for n in (7, 2)
    ]


def test_errors_count_images_not_batches() -> None:
    model, data = classifier().train(), batches()
    found = lesion_errors(model, data, [(), ("layer1.1",), ()])
    assert model.training
    model.eval()
    with torch.no_grad():
        wrong = sum(int((model(batch.images).argmax(1) != batch.labels).sum()) for batch in data)
        smaller = Classifier(built_without(model.backbone, 1, 1), model.pixels, model.names)
        without = sum(int((smaller(batch.images).argmax(1) != batch.labels).sum()) for batch in data)
    assert found == [wrong / 9, without / 9, wrong / 9]
    with pytest.raises(ValueError, match="at least one image"):
        lesion_errors(model, [], [()])


def test_a_profile_has_every_block_and_every_draw() -> None:
    profile = measure_lesions("net", classifier(), batches(), draws=2, seed=0)
    assert list(profile.single) == droppable_blocks(network())
    assert [len(blocks) for blocks, _ in profile.several] == [1, 1, 2, 2]
    assert (profile.network, profile.plain, profile.classes) == ("net", False, 3)
    drawn = {blocks[0]: error for blocks, error in profile.several if len(blocks) == 1}
    assert all(profile.single[block] == error for block, error in drawn.items())
    assert profile.intact == lesion_errors(classifier(), batches(), [()])[0]


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**63 - 1))
def test_random_lesions(blocks: int, draws: int, seed: int) -> None:
    names = [f"layer1.{index}" for index in range(blocks)]
    lesions = random_lesions(names, draws, seed)
    assert lesions == random_lesions(names, draws, seed)
    counts = [1, 2, 4, 8, 16]
    assert [len(lesion) for lesion in lesions] == [n for n in counts if n <= blocks / 2 for _ in range(draws)]
    for lesion in lesions:
        assert list(lesion) == [name for name in names if name in lesion]


def test_another_seed_other_lesions() -> None:
    names = [str(index) for index in range(30)]
    assert random_lesions(names, 3, 0) != random_lesions(names, 3, 1)
    assert len(set(random_lesions(names, 3, 0))) == 12


def test_the_conclusion_follows_the_numbers() -> None:
    several = ((("b",), 0.3), (("a", "b"), 0.4), (("b", "c"), 0.6))
    good = LesionProfile("r", False, 10, 0.1, {"a": 0.8, "b": 0.12, "c": 0.1}, several)
    bad = LesionProfile("p", True, 10, 0.1, {"a": 0.8, "b": 0.5, "c": 0.1}, ())
    assert conclude_lesions([good, bad]) == (
        "r (10.00 % intact) survives the loss of a block: +2.00 points in the median of 3, at worst +70.00 points (a), "
        "50.00 % without 2 of them; "
        "p (10.00 % intact) does not survive the loss of a block: +40.00 points in the median of 3, at worst +70.00 points (a)"
    )
