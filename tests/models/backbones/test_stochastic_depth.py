"""Stochastic depth: blocks that are their shortcut alone."""

from __future__ import annotations

import pytest
import torch
from narrow_networks import narrow_network
from rounding import ALGEBRA, assert_near

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.stochastic_depth import set_stochastic_depth

NAMES = ("cifar_resnet14", "cifar_preact_resnet14", "resnet18")


def network(name: str) -> ResNet:
    torch.manual_seed(0)
    return narrow_network(name).double()


def test_the_probabilities_grow_with_depth() -> None:
    model = network("cifar_resnet20")
    set_stochastic_depth(model, 0.5)
    assert [block.drop for block in model.blocks()] == pytest.approx([number / 18 for number in range(1, 10)])


@pytest.mark.parametrize("name", NAMES)
def test_a_dropped_block_is_its_shortcut(name: str) -> None:
    model = network(name).train()
    for block in model.blocks():
        x = torch.randn(2, block.layers[0][0].in_channels, 4, 4, dtype=torch.float64).relu()
        block.drop = 1.0
        given, kept = block(x), x.clone()
        with torch.no_grad():  # by hand: the branch is 0 when its last convolution is, and so is its BN's shift
            block.drop = 0.0
            block.layers[-1][0].weight.zero_()
        assert_near(given, block(x), ALGEBRA)
        assert torch.equal(x, kept)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_in_training_is_what_testing_gives(name: str) -> None:
    """Of a block, before any ReLU: the shortcut, and in testing the branch, in training 1 / (1 - drop) of it or nothing."""
    model = network(name).eval()
    for block in model.blocks():
        x = torch.randn(2, block.layers[0][0].in_channels, 4, 4, dtype=torch.float64).relu()
        branch = block.branch(x.clone())
        block.drop = 0.25
        assert torch.equal(block._kept(branch), branch)
        block.training = True  # the block alone: its BN stays as in testing
        assert_near(0.75 * block._kept(branch), branch, ALGEBRA)


def test_blocks_are_dropped_as_often_as_they_should_be() -> None:
    model = network("cifar_resnet8").train()
    last = list(model.blocks())[-1]
    set_stochastic_depth(model, 0.5)
    ran: list[int] = []
    last.conv1.register_forward_hook(lambda *_: ran.append(1))
    with torch.no_grad():
        for _ in range(400):
            last(torch.randn(2, 8, 4, 4, dtype=torch.float64).relu())
    assert abs(len(ran) - 200) <= 60  # six deviations of 10
    model.eval()
    ran.clear()
    last(torch.randn(2, 8, 4, 4, dtype=torch.float64))
    assert ran == [1]


def test_the_seed_of_a_step_chooses_the_blocks() -> None:
    model = network("cifar_resnet14").train()
    set_stochastic_depth(model, 0.5)
    images, found = torch.randn(2, 3, 8, 8, dtype=torch.float64), []
    for seed in (1, 1, 2, 3, 4):
        torch.manual_seed(seed)
        found.append(model(images))
    assert torch.equal(found[0], found[1])
    assert not all(torch.equal(found[0], other) for other in found[2:])


def test_recomputed_blocks_drop_the_same() -> None:
    grads = []
    for recompute in (False, True):
        model = network("cifar_resnet14").train()
        set_stochastic_depth(model, 0.5)
        for block in model.blocks():
            block.recompute = recompute
        torch.manual_seed(5)
        model(torch.ones(2, 3, 8, 8, dtype=torch.float64)).square().sum().backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*grads, strict=True):
        assert torch.equal(one, other)


def test_what_is_left_out_has_gradient_0() -> None:
    """Not none: SGD's momentum and weight decay go on, as theirs do, and torch's fused step wants all or none."""
    model = network("resnet18").train()
    for block in model.blocks():
        block.drop = 1.0
    model(torch.ones(2, 3, 64, 64, dtype=torch.float64)).square().sum().backward()
    for name, parameter in model.named_parameters():
        reached = not name.startswith("layer") or "downsample" in name
        assert parameter.grad is not None
        assert bool(parameter.grad.any()) == reached, name


def test_a_plain_network_has_no_block_to_leave_out() -> None:
    with pytest.raises(ConfigError, match=r"'regularization\.stochastic_depth' needs shortcuts, cifar_plain14 is plain"):
        set_stochastic_depth(network("cifar_plain14"), 0.2)
    set_stochastic_depth(network("cifar_plain14"), 0.0)
