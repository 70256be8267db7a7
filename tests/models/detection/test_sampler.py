from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from resdet.models.detection.matcher import BETWEEN, NEGATIVE
from resdet.models.detection.sampler import draw, sample, sample_evenly

ROWS = st.integers(1, 4).flatmap(
    lambda images: st.integers(0, 50).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(BETWEEN, 3), min_size=width, max_size=width), min_size=images, max_size=images
        )
    )
)


def drawn_by_image(matches: Tensor, chosen: tuple[Tensor, Tensor]) -> list[tuple[list[int], list[int]]]:
    """Of each image the drawn positives and negatives; what is drawn is sorted and has no doubles."""
    pairs = list(zip(*(index.tolist() for index in chosen), strict=True))
    assert pairs == sorted(set(pairs))
    rows: list[tuple[list[int], list[int]]] = [([], []) for _ in matches]
    for image, candidate in pairs:
        value = int(matches[image, candidate])
        assert value != BETWEEN
        rows[image][value == NEGATIVE].append(candidate)
    return rows


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(1, 40), st.floats(0, 1))
def test_counts_and_membership(rows: list[list[int]], batch: int, fraction: float) -> None:
    matches = torch.tensor(rows, dtype=torch.int64).view(len(rows), -1)
    found = drawn_by_image(matches, sample(matches, batch_size_per_image=batch, positive_fraction=fraction))
    for values, (positive, negative) in zip(rows, found, strict=True):
        assert len(positive) == min(sum(v >= 0 for v in values), int(batch * fraction))
        assert len(negative) == min(values.count(NEGATIVE), batch - len(positive))


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(2, 20))
def test_as_many_positives_as_negatives(rows: list[list[int]], batch: int) -> None:
    matches = torch.tensor(rows, dtype=torch.int64).view(len(rows), -1)
    for values, (positive, negative) in zip(rows, drawn_by_image(matches, sample_evenly(matches, batch)), strict=True):
        assert len(positive) == len(negative) == min(batch // 2, sum(v >= 0 for v in values), values.count(NEGATIVE))


@pytest.mark.parametrize(
    ("sampler", "positives", "negatives"),
    [
        (lambda matches: sample(matches, batch_size_per_image=8, positive_fraction=0.5), 4, 4),
        (lambda matches: sample_evenly(matches, 6), 3, 3),
    ],
)
def test_every_candidate_of_every_image_has_the_same_chance(
    sampler: Callable[[Tensor], tuple[Tensor, Tensor]], positives: int, negatives: int
) -> None:
    matches = torch.tensor([[0] * 10 + [NEGATIVE] * 30, [NEGATIVE] * 30 + [0] * 10])
    counts, draws = torch.zeros(2, 40), 400
    torch.manual_seed(0)
    for _ in range(draws):
        counts.index_put_(sampler(matches), torch.ones(()), accumulate=True)
    for drawn, share in ((counts[matches == 0], positives / 10), (counts[matches == NEGATIVE], negatives / 30)):
        assert drawn.sum() == 2 * draws * (positives if share == positives / 10 else negatives)
        # five standard deviations of a binomial
        assert (drawn - draws * share).abs().max() < 5 * (draws * share * (1 - share)) ** 0.5


def test_same_seed_same_draw() -> None:
    matches = torch.tensor([[0] * 10 + [NEGATIVE] * 30])
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(sample(matches, batch_size_per_image=8, positive_fraction=0.5)[1].tolist())
    assert found[0] == found[1] != found[2]


def test_a_row_s_count_is_its_own() -> None:
    wanted = torch.tensor([[True] * 5, [True, False, True, False, False], [False] * 5, [True] * 5])
    chosen = draw(wanted, torch.tensor([[2], [4], [3], [0]]), 4)
    assert chosen.sum(1).tolist() == [2, 2, 0, 0]
    assert not (chosen & ~wanted).any()
