"""The shares of a batch: all of its images, each once, with the draws and the normalizers of the whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_ranks import in_ranks

from resdet.data.loading.batches import ClassificationBatch
from resdet.distributed.ranks import ALONE, Ranks
from resdet.distributed.share import Share, pieces, share_of


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 6))
def test_shares_are_the_whole(size: int, parts: int, world: int) -> None:
    shares = [Share(size, Ranks(rank, world), parts) for rank in range(world)]
    assert sorted(position for share in shares for position in share.positions) == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= parts
    for number, piece in enumerate(pieces(size, parts)):
        split = [share.split()[number] for share in shares]
        assert {each.size for each in split} == {piece.stop - piece.start}
        whole = [piece.start + position for each in split for position in each.positions]
        assert sorted(whole) == list(range(size))[piece]


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 3))
def test_a_batch_is_cut_as_it_was_shared(size: int, parts: int, world: int) -> None:
    for rank in range(world):
        share = Share(size, Ranks(rank, world), parts)
        labels = torch.tensor(share.take(range(size)), dtype=torch.int64)
        batch = ClassificationBatch(labels[:, None], labels, tuple(map(str, labels.tolist())), share=share)
        assert len(batch) == len(share)
        for piece, part in zip(pieces(size, parts), batch.split(parts), strict=True):
            assert part.labels.tolist() == list(range(size))[piece][rank::world]
            assert part.names == [str(label) for label in part.labels.tolist()]
            assert part.share is not None
            assert [piece.start + position for position in part.share.positions] == part.labels.tolist()


def answers(ranks: Ranks, size: int) -> dict[str, Any]:
    share = share_of(size, 1, ranks) or Share(size, ranks)
    torch.manual_seed(5)
    width = 6 if ranks.rank == ranks.world - 1 else 4
    return {
        "positions": share.positions,
        "random": [share.random(width, torch.device("cpu")) for _ in range(2)],
        "gathered": share.gathered(torch.tensor([[10 * position] for position in share.positions])),
        "normalizer": share.normalizer(ranks.rank),
        "nothing": share.normalizer(0),
    }


@pytest.mark.parametrize("world", [1, 2, 4])
def test_what_a_share_asks_the_others(world: int) -> None:
    torch.manual_seed(5)
    drawn = [torch.rand(7, 6) for _ in range(2)]
    found = in_ranks(world, answers, 7)
    for share in found:
        for own, whole in zip(share["random"], drawn, strict=True):
            assert torch.equal(own, whole[share["positions"], : own.shape[1]])
        assert share["gathered"].tolist() == [[10 * position] for position in range(7)]
    # the mean of sums of ones, weighted by images, is 1 when all normalizers are right
    weights = [len(share["positions"]) / 7 for share in found]
    total = max(sum(range(world)), 1)
    assert [share["normalizer"] for share in found] == pytest.approx([total * weight for weight in weights])
    assert [share["nothing"] for share in found] == pytest.approx(weights)


def test_one_process_has_batches_whole() -> None:
    assert share_of(8, 2, ALONE) is None
    with pytest.raises(ValueError, match="at least 1 part, got 0"):
        pieces(3, 0)
