"""Paths through a residual network: brute force over all of them, and the binomial law."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn

from resdet.analysis.paths import (
    PathLength,
    PathProfile,
    along_path,
    chosen_paths,
    conclude_paths,
    path_gradient,
    profile_paths,
)
from resdet.data.loading.batches import ClassificationBatch
from resdet.errors import ConfigError
from resdet.losses.classification import cross_entropy
from resdet.models.backbones.resnet import build_resnet
from resdet.models.classifier import Classifier
from resdet.structures import PixelConvention

NAMES = ("a", "b", "c")


class DoublePixels(PixelConvention):
    def normalize(self, images: Tensor, mean_image: Tensor | None = None) -> Tensor:
        return super().normalize(images, mean_image).double()


def classifier(block: str = "basic", **options: object) -> Classifier:
    """Six blocks, in float64, with BN that does something."""
    torch.manual_seed(0)
    options = {"num_classes": 3, "width": 4, "stem": "cifar", "shortcut": "B", **options}
    network = build_resnet("tiny", block, (2, 2, 2), **options).double()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    return Classifier(network, DoublePixels("RGB", (0.5,) * 3, (0.25,) * 3, 1.0), NAMES)


def batch(images: int = 3) -> ClassificationBatch:
    torch.manual_seed(1)
    pixels = torch.randint(256, (images, 3, 16, 16), dtype=torch.uint8)
    return ClassificationBatch(pixels, torch.arange(images) % 3, ("",) * images)


KINDS = [
    ("basic", {}),
    ("basic", {"shortcut": "A"}),
    ("basic", {"shortcut": "C"}),
    ("bottleneck", {}),
    ("basic", {"preactivation": True}),
    ("bottleneck", {"preactivation": True, "shortcut": "A"}),
]


@pytest.mark.parametrize(("block", "options"), KINDS)
def test_all_paths_together_carry_the_gradient(block: str, options: dict) -> None:
    """The gradient is the sum over the 2^6 paths: each block adds what its branch and what its shortcut bring."""
    model = classifier(block, **options)
    paths = [path for length in range(7) for path in combinations(range(6), length)]
    assert len(paths) == 2**6
    total = sum(path_gradient(model, batch(), path) for path in paths)
    assert_near(total, path_gradient(model, batch()), ALGEBRA)


def test_the_gradient_is_that_of_the_first_blocks_input() -> None:
    model = classifier().eval()
    data, network = batch(), model.backbone
    x = network.relu(network.bn1(network.conv1(model.normalize(data.images)))).detach().requires_grad_()
    y = x
    for block in network.blocks():
        y = block(y)
    cross_entropy(network.fc(y.mean((2, 3))), data.labels).backward()
    assert_near(path_gradient(model, data), x.grad, ALGEBRA)


@pytest.mark.parametrize(("block", "options"), KINDS)
def test_a_path_changes_no_value(block: str, options: dict) -> None:
    model = classifier(block, **options).eval()
    logits = model(batch().images)
    with along_path(model.backbone, (0, 4)):
        assert torch.equal(model(batch().images), logits)
    assert not any(part._forward_hooks for part in model.modules())


def test_a_path_by_hand() -> None:
    """Two blocks of one channel that multiply by positive numbers: the path through both brings the product of the branches."""
    network = build_resnet("two", "basic", (2,), num_classes=3, width=1, stem="cifar", shortcut="B").double()
    factors = []
    for number, block in enumerate(network.blocks(), start=2):
        for conv, norm in block.layers:
            conv.weight.data.zero_()
            conv.weight.data[0, 0, 1, 1] = number
            norm.eval()
        factors.append(number * number / (1 + 1e-5))
    network.conv1.weight.data.abs_()
    network.fc.weight.data.copy_(torch.tensor([[1.0], [0.0], [0.0]]))
    model = Classifier(network, DoublePixels("RGB", (0.0,) * 3, (1.0,) * 3, 1.0), NAMES)
    past = path_gradient(model, batch(), ())
    for path, factor in (((0,), factors[0]), ((1,), factors[1]), ((0, 1), factors[0] * factors[1])):
        assert_near(path_gradient(model, batch(), path), factor * past, ALGEBRA)


def test_modes_and_gradients_are_as_before() -> None:
    model = classifier().train()
    path_gradient(model, batch(), (1,))
    assert all(part.training for part in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_lengths_follow_the_binomial_law() -> None:
    profile = profile_paths("tiny", classifier(), batch(), draws=3, seed=0)
    assert [each.paths for each in profile.lengths] == [1, 6, 15, 20, 15, 6, 1]
    assert sum(each.paths for each in profile.lengths) == 2**6
    assert profile.mean_paths == pytest.approx(3)
    assert [each.error == 0 for each in profile.lengths] == [True, False, False, False, False, False, True]


def test_with_draws_enough_every_path_is_measured() -> None:
    model = classifier()
    profile = profile_paths("tiny", model, batch(), draws=20, seed=0)
    for each in profile.lengths:
        norms = [float(path_gradient(model, batch(), path).norm()) for path in combinations(range(6), each.blocks)]
        assert each.norm == pytest.approx(sum(norms) / math.comb(6, each.blocks), rel=1e-12)
        assert each.error == 0


def test_draws_are_of_the_seed_and_of_the_length() -> None:
    first = chosen_paths(12, 5, 10, 0)
    assert first == chosen_paths(12, 5, 10, 0) != chosen_paths(12, 5, 10, 1)
    assert all(len(set(path)) == 5 and path == tuple(sorted(path)) for path in first)
    assert chosen_paths(4, 2, 6, 0) == list(combinations(range(4), 2))


def test_a_plain_network_has_no_paths() -> None:
    with pytest.raises(ConfigError, match="has no shortcuts"):
        profile_paths("plain", classifier(shortcut="none"), batch(), draws=2, seed=0)


def test_what_is_concluded() -> None:
    lengths = tuple(PathLength(k, math.comb(4, k), norm, 0.0) for k, norm in enumerate((0.0, 10.0, 1.0, 0.0, 0.0)))
    profile = PathProfile("net", lengths)
    assert profile.mean_gradient == pytest.approx((40 + 2 * 6) / 46)
    assert profile.range_of([1, 4, 6, 4, 1], 0.8) == (1, 3)
    assert conclude_paths([profile]) == (
        "net: 90 % of its 2^4 paths go through 0 to 3 of 4 blocks, 90 % of the gradient through 1 to 2 (mean 2.0 and 1.1)"
    )
