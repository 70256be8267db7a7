"""The twin is the plain detector in all but how it computes: its tensors, names, losses, gradients and proposals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from rounding import ALGEBRA, assert_near, growth, network
from tiny_detectors import tiny_detector
from torch import nn
from training_networks import (
    IMAGES,
    TARGETS,
    assert_same_step,
    kept_numbers,
    losses_step,
    set_recompute,
    step,
    training_detector,
    with_statistics,
)

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.split import freeze_stages
from resdet.models.detection.training_rows.block import TrainingBlock, TrainingBottleneck
from resdet.models.detection.training_rows.regions import TrainingRoIHeads
from resdet.models.detection.training_rows.rpn_head import TrainingRPNHead
from resdet.models.detection.training_rows.trunk import TrainingTrunk
from resdet.ops.kernels import Kernels
from resdet.ops.products import onednn_works
from resdet.ops.winograd import winograd_transforms

PLAIN = Kernels("torch")
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "bottleneck": {},
    "stride in the 1x1": {"backbone": {"name": "resnet50", "width": 8, "stride_in_1x1": True}},
    "basic": {"backbone": {"name": "resnet18", "width": 8}},
    "pre-activation": {"backbone": {"name": "preact_resnet18", "width": 8}},
    "plain": {"backbone": {"name": "plain18", "width": 8, "shortcut": "none"}},
    "RoI pooling": {"roi": {"pooling": "pool"}},
}
# few regions: in float64 torch is slow on groups
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "groups": {"backbone": {"name": "resnext50_32x4d", "width": 16}, "roi": {"batch_size_per_image": 16}},
    "wide": {"backbone": {"name": "wide_resnet50_2", "width": 8}, "roi": {"batch_size_per_image": 16}},
    "ResNet-D": {"backbone": {"name": "resnet50d", "width": 8}, "roi": {"batch_size_per_image": 16}},
}


@pytest.mark.parametrize("kind", VARIANTS)
def test_losses_and_gradients_of_all_layers(kind: str) -> None:
    plain = training_detector(**VARIANTS[kind]).requires_grad_(True)
    assert_same_step(losses_step(plain.prepare_for_training(PLAIN)), losses_step(plain))


@pytest.mark.parametrize("frozen", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients(kind: str, frozen: int) -> None:
    plain = training_detector(**KINDS[kind]).requires_grad_(True)
    freeze_stages(plain.trunk, plain.roi_heads.res5, frozen)
    assert_same_step(losses_step(plain.prepare_for_training(PLAIN)), losses_step(plain))


@pytest.mark.parametrize("kind", ["bottleneck", "basic"])
def test_proposals(kind: str) -> None:
    plain = training_detector(**KINDS[kind])
    found, expected = plain.prepare_for_training(PLAIN).propose(IMAGES), plain.propose(IMAGES)
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        assert len(other[0]) > 5
        for mine, theirs in zip(one, other, strict=True):
            assert_near(mine, theirs, ALGEBRA)


def test_one_part_and_given_proposals() -> None:
    plain = training_detector()
    twin = plain.prepare_for_training(PLAIN)
    given = [torch.tensor([[0.0, 0, 50, 50], [30, 20, 90, 64]]).double(), torch.tensor([[2.0, 8, 40, 60]]).double()]
    for options in ({"parts": ["rpn"]}, {"parts": ["roi"], "proposals": given}):
        losses = []
        for model in (twin, plain):
            torch.manual_seed(0)
            losses.append(model.losses(IMAGES, TARGETS, **options))
        assert losses[0].keys() == losses[1].keys()
        for name, value in losses[1].items():
            assert_near(losses[0][name], value, ALGEBRA, name)


@pytest.mark.parametrize("pin", ["torch", "onednn"])
def test_float32_is_off_by_its_rounding(pin: str) -> None:
    if pin == "onednn" and not onednn_works(torch.float32, torch.device("cpu")):
        pytest.skip("torch has no oneDNN product here")
    exact = training_detector()
    twin = training_detector().float().prepare_for_training(Kernels(pin))
    torch.manual_seed(0)
    x = torch.randn(1, 3, 64, 96)
    # 40 layers there and 40 back, of sums of at most 9 * 32 numbers, by Winograd's algorithm
    relative = network(80, 9 * 32, torch.float32, amplified=growth(winograd_transforms(), 9))
    found, expected = step(twin.trunk, x), step(exact.trunk, x.double())
    assert_near(found[0].double(), expected[0], relative)
    for name, gradient in expected[1].items():
        # a ReLU whose input is nearly zero may be on the other side: that moves few numbers, and hardly their norm
        assert (found[1][name] - gradient).norm() <= relative * gradient.norm(), name


@pytest.fixture
def pair() -> tuple[nn.Module, nn.Module]:
    plain = training_detector()
    return plain, plain.prepare_for_training(PLAIN)


def test_it_is_a_tree_of_training_parts(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    assert twin is not plain
    kinds = (TrainingTrunk, TrainingRPNHead, TrainingRoIHeads)
    assert tuple(map(type, (twin.trunk, twin.rpn.head, twin.roi_heads))) == kinds
    blocks = [(name, part) for name, part in twin.named_modules() if isinstance(part, ResidualBlock)]
    assert len(blocks) == 16
    for name, part in blocks:
        assert type(part) is TrainingBottleneck
        assert part.place == name
    # and the plain one is what it was
    assert not any(isinstance(part, (*kinds, TrainingBlock)) for part in plain.modules())


def test_its_tensors_and_names_are_the_plain_one_s(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    for mine, theirs in ((twin.named_parameters(), plain.named_parameters()), (twin.named_buffers(), plain.named_buffers())):
        own, other = dict(mine), dict(theirs)
        assert list(own) == list(other)
        assert all(own[name] is other[name] for name in other)
    mine, theirs = twin.state_dict(), plain.state_dict()
    assert list(mine) == list(theirs)
    assert all(mine[name].data_ptr() == theirs[name].data_ptr() for name in theirs)
    assert [name for name, _ in twin.named_modules()] == [name for name, _ in plain.named_modules()]
    assert (twin.names, twin.pixels, twin.training, twin.device) == (plain.names, plain.pixels, plain.training, plain.device)


def test_a_step_of_the_one_is_a_step_of_the_other(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    before = {name: each.detach().clone() for name, each in plain.named_parameters()}
    optimizer = torch.optim.SGD([each for each in twin.parameters() if each.requires_grad], lr=0.1, momentum=0.9)
    losses_step(twin)
    optimizer.step()
    moved = [name for name, each in plain.named_parameters() if not torch.equal(each, before[name])]
    assert sorted(moved) == sorted(name for name, each in plain.named_parameters() if each.requires_grad)
    assert len(moved) > 40
    assert_same_step(losses_step(twin), losses_step(plain))


@pytest.mark.parametrize("kind", VARIANTS)
def test_ten_steps_lower_the_losses(kind: str) -> None:
    plain = with_statistics(tiny_detector(**VARIANTS[kind])).train()
    twin = plain.prepare_for_training(PLAIN)
    trained = [each for each in twin.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3)
    totals = []
    for _ in range(10):
        losses, _ = losses_step(twin)
        totals.append(float(losses.sum()))
        nn.utils.clip_grad_norm_(trained, 1.0)  # the outputs of untrained layers were spread, and the losses are steep
        optimizer.step()
    assert totals[-1] < 0.9 * totals[0]


def test_what_is_loaded_into_the_one_is_loaded_into_the_other(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    other = training_detector(backbone={"name": "resnet50", "width": 8}).state_dict()
    other = {name: each * 1.1 if each.is_floating_point() else each for name, each in other.items()}
    plain.load_state_dict(other)
    for name, value in twin.state_dict().items():
        assert torch.equal(value, other[name]), name
    assert_same_step(losses_step(twin), losses_step(plain))


def test_its_mode_is_its_own_and_its_results_in_evaluation_are_the_plain_one_s(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    twin.eval()
    assert not any(part.training for part in twin.modules())
    x = torch.randn(1, 3, 64, 64).double()
    with torch.no_grad():
        assert_near(twin.trunk(x), plain.trunk(x), ALGEBRA)
    twin.train()
    assert all(part.training for part in twin.modules())


def test_parameters_that_are_frozen_later_get_no_gradient(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    plain.trunk.layer3.requires_grad_(False)
    gradients = losses_step(twin)[1]
    assert gradients
    assert not any(name.startswith("trunk.layer3") for name in gradients)


def test_recomputed_blocks_keep_less(pair: tuple[Any, Any]) -> None:
    plain, twin = pair
    kept: list[int] = []
    steps = []
    for recompute in (False, True):
        set_recompute(twin, recompute)
        kept.append(kept_numbers(twin.trunk, torch.randn(1, 3, 64, 96).double()))
        steps.append(losses_step(twin))
    assert kept[1] < kept[0]
    assert_same_step(steps[1], steps[0])
    assert_same_step(steps[1], losses_step(plain))
