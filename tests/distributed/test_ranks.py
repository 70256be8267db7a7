"""What processes ask each other, held against what Python makes of all their values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from in_ranks import in_ranks

from resdet.distributed import ranks as module
from resdet.distributed.ranks import ALONE, Ranks


def questions(ranks: Ranks) -> dict[str, Any]:
    """The answers that a process gets, and what it did itself."""
    calls: list[str] = []

    @contextlib.contextmanager
    def context() -> Iterator[str]:
        calls.append("entered")
        yield "inside"
        calls.append("left")

    with ranks.entered(context()) as given:
        calls.append(given)
    return {
        "collected": [ranks.collect([10 * item for item in ranks.deal(range(count))]) for count in range(8)],
        "once": ranks.once(lambda: calls.append("called") or {"rank": ranks.rank}),
        "everyones": ranks.everyones({"rank": ranks.rank}),
        "sum": ranks.sum([ranks.rank + 0.5, 2.0**60, ranks.rank == 1]),
        "most": ranks.most([ranks.rank, -ranks.rank, 7]),
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "gathered": [each.tolist() for each in ranks.gather(torch.full((ranks.rank, 2), ranks.rank))],
        "calls": calls,
    }


@pytest.mark.parametrize("world", [1, 2, 3])
def test_answers(world: int) -> None:
    for rank, found in enumerate(in_ranks(world, questions)):
        assert found["collected"] == [[10 * item for item in range(count)] if rank == 0 else [] for count in range(8)]
        assert found["once"] == {"rank": 0}
        assert found["everyones"] == [{"rank": each} for each in range(world)]
        assert found["sum"] == [sum(range(world)) + world / 2, world * 2.0**60, float(world > 1)]
        assert found["most"] == [world - 1, 0, 7]
        assert found["any"] == [world > 1, False]
        assert found["gathered"] == [[[each, each]] * each for each in range(world)]
        assert found["calls"] == (["entered", "inside", "left", "called"] if rank == 0 else ["inside"])


def tensors(rank: int) -> list[torch.Tensor]:
    """Of several dtypes and memory layouts, large and small, one of them empty."""
    generator = torch.Generator().manual_seed(rank)
    numbers = [torch.randn(*shape, generator=generator) for shape in ((3, 4), (2, 3, 4, 5), (0,), (1,), (40,), (6, 2))]
    numbers[1] = numbers[1].to(memory_format=torch.channels_last)
    return [*numbers, torch.randn(5, generator=generator).double(), numbers[5].clone().t()]


def summed(ranks: Ranks, bucket: int) -> list[torch.Tensor]:
    own = tensors(ranks.rank)
    strides = [each.stride() for each in own]
    with mock.patch.object(module, "_BUCKET", bucket):
        ranks.add_(own)
    assert [each.stride() for each in own] == strides
    return own


@pytest.mark.parametrize("bucket", [1, 100, 10**6])
def test_sums_of_tensors(bucket: int) -> None:
    found = in_ranks(3, summed, bucket)
    for number, exact in enumerate(zip(*(tensors(rank) for rank in range(3)), strict=True)):
        assert all(torch.equal(each[number], found[0][number]) for each in found)
        torch.testing.assert_close(found[0][number], torch.stack([each.double() for each in exact]).sum(0).to(exact[0]))


def test_one_process_alone_changes_nothing() -> None:
    own = tensors(0)
    ALONE.add_(own)
    assert all(torch.equal(each, before) for each, before in zip(own, tensors(0), strict=True))
    assert ALONE.first
