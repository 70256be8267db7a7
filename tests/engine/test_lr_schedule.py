from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.engine.lr_schedule import WarmupMultiStep


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
    schedule = WarmupMultiStep(0.1, [32, 48], gamma=0.1, warmup_iterations=10, warmup_factor=0.01)
    assert schedule(iteration) == pytest.approx(rate, rel=1e-12)


def test_constant_without_milestones_and_warmup() -> None:
    assert {WarmupMultiStep(0.3)(iteration) for iteration in (0, 1, 10**6)} == {0.3}


@given(
    milestones=st.lists(st.integers(1, 40), unique=True).map(sorted),
    gamma=st.floats(0.1, 1),
    warmup=st.integers(0, 20),
    factor=st.floats(0.001, 1),
)
def test_equals_torch_schedulers(milestones: list[int], gamma: float, warmup: int, factor: float) -> None:
    ours = WarmupMultiStep(0.5, milestones, gamma, warmup, factor)
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
