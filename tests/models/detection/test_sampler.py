import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resdet.models.detection.matcher import BETWEEN, NEGATIVE
from resdet.models.detection.sampler import sample


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(BETWEEN, 3), max_size=60), st.integers(1, 40), st.floats(0, 1))
def test_counts_and_membership(values: list[int], batch: int, fraction: float) -> None:
    matches = torch.tensor(values, dtype=torch.int64)
    positive, negative = sample(matches, batch=batch, positive_fraction=fraction)
    positives, negatives = sum(v >= 0 for v in values), values.count(NEGATIVE)
    assert len(positive) == min(positives, int(batch * fraction))
    assert len(negative) == min(negatives, batch - len(positive))
    assert (matches[positive] >= 0).all()
    assert (matches[negative] == NEGATIVE).all()
    for chosen in (positive, negative):
        assert chosen.tolist() == sorted(set(chosen.tolist()))


def test_same_seed_same_draw_and_every_candidate_has_a_chance() -> None:
    matches = torch.tensor([0] * 10 + [NEGATIVE] * 30)
    drawn = []
    for seed in range(200):
        torch.manual_seed(seed)
        first = sample(matches, batch=8, positive_fraction=0.5)
        torch.manual_seed(seed)
        second = sample(matches, batch=8, positive_fraction=0.5)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        drawn += [*first[0].tolist(), *first[1].tolist()]
    counts = torch.bincount(torch.tensor(drawn), minlength=40)
    # each positive is drawn with probability 0.4, each negative with 4 / 30; five standard deviations
    assert counts[:10].double().mean().item() == pytest.approx(80)
    assert counts[:10].min() > 80 - 5 * (200 * 0.4 * 0.6) ** 0.5
    assert counts[10:].min() > 0
