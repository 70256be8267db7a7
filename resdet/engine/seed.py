"""Seeds the random numbers, once for a run and again at every step."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices); call it before the model is made."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(seed)


def step_seed(seed: int, iteration: int) -> int:
    """The seed of one training step, in [0, 2**63).

    It is a hash, so that neighbouring runs and iterations share nothing. The random numbers of a step depend on
    (seed, iteration) alone, so a resumed run needs no generator state.
    """
    digest = hashlib.blake2b(f"{seed}/{iteration}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@contextlib.contextmanager
def preserved_randomness() -> Iterator[None]:
    """A context that restores the generators of Python, NumPy and torch (all devices in use) when it ends."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
