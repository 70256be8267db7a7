from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.engine.lr_schedule import Cosine, LearningRate, LinearWarmup, Plateau, Steps, WarmupUntilError


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [
        (0, 0.001),
        (5, 0.0505),
        (9, 0.001 + 0.099 * 0.9),
        (10, 0.1),
        (31, 0.1),
        (32, 0.01),
        (47, 0.01),
        (48, 0.001),
        (10**6, 0.001),
    ],
)
def test_table(iteration: int, rate: float) -> None:
    schedule = LearningRate(0.1, Steps([32, 48], gamma=0.1), LinearWarmup(10, 0.01))
    assert schedule(iteration) == pytest.approx(rate, rel=1e-12)


def test_constant_without_milestones_and_warmup() -> None:
    assert {LearningRate(0.3)(iteration) for iteration in (0, 1, 10**6)} == {0.3}


@given(
    milestones=st.lists(st.integers(1, 40), unique=True).map(sorted),
    gamma=st.floats(0.1, 1),
    warmup=st.integers(0, 20),
    factor=st.floats(0.001, 1),
)
def test_equals_torch_schedulers(milestones: list[int], gamma: float, warmup: int, factor: float) -> None:
    ours = LearningRate(0.5, Steps(milestones, gamma), LinearWarmup(warmup, factor))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedulers: list[torch.optim.lr_scheduler.LRScheduler] = [
        torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma)
    ]
    if warmup:
        schedulers.append(torch.optim.lr_scheduler.LinearLR(optimizer, factor, total_iters=warmup))
    for iteration in range(45):
        assert ours(iteration) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def test_cosine_is_half_a_period() -> None:
    cosine = Cosine(100)
    assert [cosine(iteration) for iteration in (0, 50, 100, 200)] == pytest.approx([1, 0.5, 0, 0], abs=1e-12)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    for iteration in range(100):
        assert 0.4 * cosine(iteration) == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        theirs.step()


def rates(plateau: Plateau, scores: list[float]) -> list[float]:
    seen = []
    for score in scores:
        plateau.after_evaluation(score)
        seen.append(plateau(0))
    return seen


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], [1, 1, 1, 1, 1]),
        ([0.5, 0.5, 0.5, 0.5, 0.5], [1, 1, 1, 0.1, 0.1]),  # three evaluations without a gain
        ([0.5, 0.4, 0.4, 0.5009, 0.5], [1, 1, 1, 0.1, 0.1]),  # 0.0009 is no gain of 0.001
        ([0.5, 0.4, 0.4, 0.502, 0.5, 0.5, 0.5], [1, 1, 1, 1, 1, 1, 0.1]),  # a gain begins the count again
        ([0.5] + [0.4] * 6, [1, 1, 1, 0.1, 0.1, 0.1, 0.01]),  # so does a drop
        ([math.nan, math.nan, math.nan], [1, 1, 0.1]),
        ([0.5, math.nan, 0.4, math.inf], [1, 1, 1, 0.1]),
    ],
)
def test_plateau_by_hand(scores: list[float], expected: list[float]) -> None:
    assert rates(Plateau(0.1, patience=3, threshold=0.001), scores) == pytest.approx(expected)


@given(scores=st.lists(st.integers(0, 8).map(lambda eighths: eighths / 8), max_size=40), patience=st.integers(1, 5))
def test_plateau_equals_torch(scores: list[float], patience: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    # eighths are exact in binary; torch asks for more than the threshold, we for as much
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=0.5, patience=patience - 1, threshold=0.124, threshold_mode="abs", eps=0
    )
    ours = Plateau(0.5, patience, threshold=0.125)
    for score in scores:
        theirs.step(score)
        ours.after_evaluation(score)
        assert ours(0) == optimizer.param_groups[0]["lr"]


def test_warmup_until_the_training_error_falls() -> None:
    schedule = LearningRate(0.1, Steps([400]), WarmupUntilError(0.8, 0.1))
    for iteration in range(300):
        assert schedule(iteration) == pytest.approx(0.01), iteration
        schedule.after_step({"loss": 1.0, "error": 0.9})
    # the mean over 100 iterations is below 0.8 when 51 of them are at 0.7
    for iteration in range(300, 351):
        assert schedule(iteration) == pytest.approx(0.01), iteration
        schedule.after_step({"loss": 1.0, "error": 0.7})
    assert schedule(351) == pytest.approx(0.1)
    assert schedule.state == {"warmup": {"errors": [], "done": True}}  # a checkpoint keeps no errors that nobody asks for
    schedule.after_step({"error": 1.0})
    assert schedule(352) == pytest.approx(0.1)  # for good
    assert schedule(400) == pytest.approx(0.01)


def test_one_good_iteration_does_not_end_the_warmup() -> None:
    warmup = WarmupUntilError(0.8, 0.1)
    for _ in range(99):
        warmup.after_step({"error": 0.0})
    assert warmup(99) == 0.1
    warmup.after_step({"error": 0.0})
    assert warmup(100) == 1.0


def test_what_was_learnt_is_restored() -> None:
    first = LearningRate(0.1, Plateau(0.1, 2), WarmupUntilError(0.5))
    for score in (0.5, 0.4, 0.4, 0.4):
        first.after_evaluation(score)
    first.after_step({"error": 0.7})
    second = LearningRate(0.1, Plateau(0.1, 2), WarmupUntilError(0.5))
    second.restore(copy.deepcopy(first.state))
    assert (
        second.state
        == first.state
        == {
            "policy": {"best": 0.5, "waited": 1, "drops": 1},
            "warmup": {"errors": [0.7], "done": False},
        }
    )
    assert LearningRate(0.1).state == {}
