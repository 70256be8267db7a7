"""The random numbers of a sample depend only on the run's seed and the number of the draw, in any process."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def preserved_generators() -> Iterator[None]:
    """Put the states of the CPU generators of torch, numpy and random back on leaving."""
    # numpy's global generator and not one of our own: this is for transforms of others, which may draw from any
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


def seed_generators(seed: int, draw: int) -> None:
    """Seed the CPU generators of torch, numpy and random from (seed, draw)."""
    value = int(np.random.SeedSequence((seed, draw)).generate_state(1, np.uint64)[0])
    # not torch.manual_seed, which would seed the accelerators too
    torch.default_generator.manual_seed(value)
    np.random.seed(value % 2**32)  # noqa: NPY002
    random.seed(value)
