"""Tensors that are lent to the threads of the process group, which may hold them a moment longer than an exchange takes."""

from __future__ import annotations

import time

from torch import Tensor

_lent: list[Tensor] = []  # of the one group that a process is in


def lend(*tensors: Tensor) -> None:
    """Keep tensors until the threads have let go of them.

    A thread that lets go of a tensor last, which Python no longer has, takes Python's lock to end it. torch (2.6) has that lock
    while it waits for the threads to end: ``destroy_process_group`` then hangs.
    """
    take_back()
    _lent.extend(tensors)


def take_back() -> None:
    """Keep no longer what the threads have let go of."""
    _lent[:] = [tensor for tensor in _lent if _held(tensor)]


def await_return(seconds: float) -> None:
    """Wait until the threads have let go of all tensors, these seconds at most; those that they still hold then are kept."""
    end = time.monotonic() + seconds
    while any(map(_held, _lent)) and time.monotonic() < end:
        time.sleep(0.001)


def forget() -> None:
    """The group has ended, and holds nothing."""
    _lent.clear()


def _held(tensor: Tensor) -> bool:
    return tensor._use_count() > 1  # type: ignore[attr-defined]
