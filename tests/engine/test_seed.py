from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch

from resdet.engine.seed import preserved_randomness, seed_everything, step_seed


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_step_seeds_differ_and_are_stable() -> None:
    seeds = {step_seed(seed, iteration) for seed in range(20) for iteration in range(200)}
    assert len(seeds) == 4000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert step_seed(1, 23) != step_seed(12, 3)
    assert step_seed(0, 0) == 1576848291327681832  # resumed runs of older versions count on it


def test_seeded_runs_draw_the_same() -> None:
    seed_everything(5)
    first = draw()
    seed_everything(5)
    assert draw() == first
    for other in (2**40, 2**63 - 1):  # the second is the greatest that a run may have
        seed_everything(other)
        assert draw() != first


def test_preserved_randomness_after_an_error_too() -> None:
    seed_everything(5)
    expected = draw()
    seed_everything(5)
    try:
        with preserved_randomness():
            draw()
            raise KeyError
    except KeyError:
        pass
    assert draw() == expected


def test_the_generators_of_all_gpus_in_use_are_preserved(monkeypatch: pytest.MonkeyPatch) -> None:
    forked: list[list[int]] = []

    @contextlib.contextmanager
    def fork_rng(devices: Iterable[int]) -> Iterator[None]:
        forked.append(list(devices))
        yield

    monkeypatch.setattr(torch.random, "fork_rng", fork_rng)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for in_use in (True, False):  # to ask a GPU that is not in use for its generator would begin its use
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda in_use=in_use: in_use)
        with preserved_randomness():
            pass
    assert forked == [[0, 1], []]
