"""Blocks in other places, against networks that are built with their numbers exchanged."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from torch import nn

from resdet.analysis.permutation import (
    PermutationProfile,
    conclude_permutations,
    kendall_tau,
    measure_permutations,
    movable_blocks,
    random_orders,
    reordered,
)
from resdet.data.loading.batches import ClassificationBatch
from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet, build_resnet
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS


def network(layers: tuple[int, ...] = (3, 3), **options: object) -> ResNet:
    torch.manual_seed(0)
    resnet = build_resnet("tiny", "basic", layers, num_classes=3, width=4, stem="cifar", shortcut="B", **options)
    for part in resnet.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    return resnet.eval()


def batches(images: int = 8) -> list[ClassificationBatch]:
    torch.manual_seed(1)
    pixels = torch.randint(256, (images, 3, 16, 16), dtype=torch.uint8)
    return [ClassificationBatch(pixels, torch.arange(images) % 3, ("",) * images)]


def test_blocks_that_keep_the_shape_can_move_within_their_stage() -> None:
    assert movable_blocks(network()) == [["layer1.0", "layer1.1", "layer1.2"], ["layer2.1", "layer2.2"]]
    with pytest.raises(ConfigError, match="no two blocks of a stage keep the shape"):
        movable_blocks(network((1, 2, 2)))


def test_the_same_as_a_network_with_these_numbers() -> None:
    resnet, places = network(), {"layer1.0": "layer1.2", "layer1.2": "layer1.0", "layer2.1": "layer2.2", "layer2.2": "layer2.1"}
    state = resnet.state_dict()
    other = network()
    other.load_state_dict(
        {
            re.sub(r"^layer\d\.\d", lambda found: next((p for p, n in places.items() if n == found[0]), found[0]), key): value
            for key, value in state.items()
        }
    )
    x = torch.randn(2, 3, 16, 16)
    before = resnet(x)
    with reordered(resnet, places):
        assert torch.equal(resnet(x), other.eval()(x))
        assert not torch.equal(resnet(x), before)
    assert torch.equal(resnet(x), before)
    assert list(resnet.state_dict()) == list(state)


def test_an_error_inside_puts_the_blocks_back() -> None:
    resnet = network()
    before = list(resnet.blocks())
    with pytest.raises(RuntimeError, match="stop"), reordered(resnet, {"layer1.0": "layer1.1", "layer1.1": "layer1.0"}):
        raise RuntimeError("stop")
    assert list(resnet.blocks()) == before


def test_tau_against_counting_pairs() -> None:
    groups = [["a", "b", "c"], ["d", "e"]]
    for first in itertools.permutations("abc"):
        for second in itertools.permutations("de"):
            places = dict(zip("abcde", (*first, *second), strict=True))
            pairs = [pair for order in (first, second) for pair in itertools.combinations(order, 2)]
            right = sum(one < other for one, other in pairs)
            assert kendall_tau(groups, places) == pytest.approx((2 * right - len(pairs)) / len(pairs))


def test_orders_are_of_the_seed_and_stay_within_a_stage() -> None:
    groups = [["a", "b", "c"], ["d", "e"]]
    orders = random_orders(groups, 4, 0)
    assert [swaps for swaps, _ in orders] == [1] * 4 + [2] * 4 + [4] * 4
    assert orders == random_orders(groups, 4, 0) != random_orders(groups, 4, 1)
    for swaps, places in orders:
        assert {places[name] for name in "abc"} == set("abc")
        assert {places[name] for name in "de"} == set("de")
        if swaps == 1:
            assert sum(place != name for place, name in places.items()) == 2


def test_errors_are_those_of_the_reordered_networks() -> None:
    model = Classifier(network(), PIXEL_CONVENTIONS["torchvision"], ("a", "b", "c")).train()
    profile = measure_permutations("tiny", model, batches(), draws=2, seed=3)
    assert model.training
    groups, expected = movable_blocks(model.backbone), []
    model.eval()
    for swaps, places in [(0, {}), *random_orders(groups, 2, 3)]:
        with reordered(model.backbone, places), torch.no_grad():
            wrong = sum(int((model(each.images).argmax(1) != each.labels).sum()) for each in batches())
        expected.append((swaps, kendall_tau(groups, places) if places else 1.0, wrong / 8))
    assert profile.intact == expected[0][2]
    assert list(profile.swapped) == expected[1:]
    with pytest.raises(ValueError, match="at least one image"):
        measure_permutations("tiny", model, [], draws=1, seed=0)


def test_what_is_concluded() -> None:
    swapped = ((1, 0.9, 0.2), (1, 0.9, 0.4), (4, 0.1, 0.5), (4, 0.3, 0.7))
    assert conclude_permutations([PermutationProfile("net", 0.1, swapped)]) == (
        "net (10.00 % intact): 30.00 % ± 10.00 after 1 swap of blocks, 60.00 % ± 10.00 after 4 swaps of blocks"
    )
