"""Cross-entropy against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.losses.classification import cross_entropy


@given(st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=5), st.data())
def test_is_the_mean_negative_log_probability(rows: list[list[float]], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    expected = 0.0
    for row, label in zip(rows, labels, strict=True):
        largest = max(row)
        expected += largest + math.log(sum(math.exp(value - largest) for value in row)) - row[label]
    loss = cross_entropy(torch.tensor(rows, dtype=torch.float64), torch.tensor(labels))
    assert float(loss) == pytest.approx(expected / len(rows), rel=1e-10, abs=1e-10)


def test_uniform_logits_cost_log_k() -> None:
    assert float(cross_entropy(torch.zeros(2, 10), torch.tensor([3, 7]))) == pytest.approx(math.log(10))


def test_half_precision_is_computed_in_single() -> None:
    logits = torch.randn(4, 5)
    loss = cross_entropy(logits.bfloat16(), torch.arange(4))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, cross_entropy(logits.bfloat16().float(), torch.arange(4)))


def test_distributions_are_targets_too() -> None:
    logits, targets = torch.randn(4, 5, dtype=torch.float64), torch.rand(4, 5, dtype=torch.float64).softmax(1)
    expected = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(cross_entropy(logits, targets), expected)
    smoothed = -((0.9 * targets + 0.1 / 5) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(cross_entropy(logits, targets, label_smoothing=0.1), smoothed)
