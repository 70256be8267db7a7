"""Tensors that threads of the process group hold are kept until they do no longer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch
from in_ranks import in_ranks

from resdet.distributed import lent
from resdet.distributed.ranks import Ranks


@pytest.fixture(autouse=True)
def _nothing_lent() -> Iterator[None]:
    lent.forget()
    yield
    lent.forget()


def test_what_is_held_elsewhere_is_kept() -> None:
    held = torch.zeros(2)
    holder = held.view(-1)  # holds it as a thread of C++ does
    lent.lend(held, torch.zeros(3))
    lent.lend(torch.zeros(4))
    assert [len(each) for each in lent._lent] == [2, 4]
    began = time.monotonic()
    lent.await_return(0.05)
    assert time.monotonic() - began >= 0.05
    del holder
    lent.await_return(60)
    assert time.monotonic() - began < 30
    lent.take_back()
    assert lent._lent == []


def exchanges(ranks: Ranks) -> int:
    """How many tensors are lent after exchanges of every kind, the last one of which may not have returned."""
    for _ in range(20):
        ranks.everyones("word")
        ranks.collect([1])
        ranks.once(lambda: "word")
        ranks.gather(torch.zeros(3))
        ranks.add_([torch.zeros(3)])
        ranks.sum([1.0])
    assert lent._lent
    lent.await_return(60)
    lent.take_back()
    return len(lent._lent)


def test_exchanges_lend_and_get_back() -> None:
    """Where a thread was the last one to have a tensor, ending the group hung now and then."""
    assert in_ranks(2, exchanges) == [0, 0]
