"""The largest stable learning rate: a quadratic whose limit is known, and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from rounding import assert_near
from torch import Tensor

from resdet.analysis.stability import LossCurve, best_rate, conclude_stability, stable_rates, train_shortly, try_rates
from resdet.data.loading.batches import ClassificationBatch
from resdet.losses.classification import cross_entropy
from resdet.models.backbones.resnet import build_resnet
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS

NAMES = ("a", "b")


def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        build_resnet("tiny", "basic", (1,), num_classes=2, width=2, stem="cifar"), PIXEL_CONVENTIONS["torchvision"], NAMES
    )


def batches(count: int) -> list[ClassificationBatch]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.tensor([0, 1, 0, 1])
    noise = torch.randint(0, 100, (count, 4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return [
        ClassificationBatch(each + (labels * 120).to(torch.uint8)[:, None, None, None], labels, ("",) * 4) for each in noise
    ]


def test_the_steps_are_those_of_sgd() -> None:
    """By hand: velocity = momentum * velocity + gradient + decay * weight."""
    trained, twin = classifier(), classifier().train()
    data = batches(3)
    losses = train_shortly(trained, data, 0.1, 0.9, 0.01)
    velocities: list[Tensor] = [torch.zeros_like(each) for each in twin.parameters()]
    for number, batch in enumerate(data):
        loss = cross_entropy(twin(batch.images), batch.labels)
        assert losses[number] == pytest.approx(loss.item(), rel=1e-4)
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for parameter, velocity, gradient in zip(twin.parameters(), velocities, gradients, strict=True):
                velocity.mul_(0.9).add_(gradient + 0.01 * parameter)
                parameter -= 0.1 * velocity
    for one, other in zip(trained.parameters(), twin.parameters(), strict=True):
        assert_near(one, other, 1e-3)


def test_from_a_loss_that_is_not_finite_on_no_step_is_taken() -> None:
    model = classifier()
    losses = train_shortly(model, batches(5), 1e30, 0.9, 0.0)
    first = losses.index(math.inf)
    assert 0 < first < 5
    assert losses[first:] == [math.inf] * (5 - first)


def test_every_rate_has_the_same_start_and_images() -> None:
    curves = try_rates("tiny", "batch", 0, classifier, batches(2), [0.1, 0.01, 0.1], momentum=0.9, weight_decay=0.0)
    assert [each.rate for each in curves] == [0.1, 0.01, 0.1]
    assert len({each.losses[0] for each in curves}) == 1
    assert curves[0].losses == curves[2].losses != curves[1].losses


def curve(rate: float, *losses: float, seed: int = 0, norm: str = "batch") -> LossCurve:
    return LossCurve("net", norm, rate, seed, 10, losses)


def test_a_network_learns_below_the_loss_of_a_guess() -> None:
    assert curve(0.1, 3.0, 2.18).learns  # of log(10) = 2.303 the 0.95th part is 2.187
    assert not curve(0.1, 2.0, 2.19).learns
    assert not curve(0.1, 2.0, math.inf).learns
    assert curve(0.1, *[9.0] * 18, 1.0, 2.0).final == 1.5


def test_stable_is_what_learns_with_every_seed() -> None:
    curves = [curve(0.1, 2.0), curve(0.1, 1.9, seed=1), curve(1.0, 1.0), curve(1.0, 2.3, seed=1), curve(0.01, 2.1)]
    assert stable_rates(curves) == [0.01, 0.1]
    assert best_rate(curves) == 0.1
    without = [curve(0.1, math.inf, norm="none"), curve(0.01, math.inf, norm="none")]
    assert stable_rates(without) == []
    assert conclude_stability([*curves, *without]) == (
        "net with BN learns up to 0.1 (best 0.1: loss 1.95 ± 0.05); net without BN learns at none of the rates (after 1 steps, "
        "2 seeds, of the rates 0.01, 0.1, 1)"
    )
