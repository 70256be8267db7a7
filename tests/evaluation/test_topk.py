from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.errors import TrainingError
from resdet.evaluation import TopK


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 12), st.integers(1, 4))
def test_against_sorting(seed, images, classes, batches):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-3, 4, (images, classes), generator=generator).double()  # many ties
    labels = torch.randint(classes, (images,), generator=generator)
    counter = TopK([f"c{k}" for k in range(classes)])
    for part, wanted in zip(logits.chunk(batches), labels.chunk(batches), strict=True):
        counter.process(part, wanted)
    order = [sorted(range(classes), key=lambda k: -row[k]) for row in logits.tolist()]  # stable: equal ones by index
    found = counter.evaluate()
    truth = labels.tolist()
    assert found["top1_error"] == sum(label not in best[:1] for label, best in zip(truth, order, strict=True)) / images
    assert found["top5_error"] == sum(label not in best[:5] for label, best in zip(truth, order, strict=True)) / images
    assert found["meta"]["images"] == sum(row["images"] for row in found["per_class"].values()) == images
    weighted = sum(row["images"] * (row["top1_error"] or 0) for row in found["per_class"].values())
    assert found["top1_error"] == pytest.approx(weighted / images)


def test_a_network_that_says_nothing_is_not_perfect():
    counter = TopK([str(k) for k in range(10)])
    counter.process(torch.zeros(10, 10), torch.arange(10))
    assert (counter.evaluate()["top1_error"], counter.evaluate()["top5_error"]) == (0.9, 0.5)


def test_no_images_and_reset_and_equal_names():
    counter = TopK(["crane", "crane", "dog"])
    empty = counter.evaluate()
    assert json.loads(json.dumps(empty, allow_nan=False))["top1_error"] is None
    counter.process(torch.eye(3), torch.arange(3))
    counter.process(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    found = counter.evaluate()
    assert list(found["per_class"]) == ["crane [0]", "crane [1]", "dog"]
    assert found["top1_error"] == 0
    counter.reset()
    assert counter.evaluate() == empty


def test_half_precision_is_read_as_it_is():
    counter = TopK(["a", "b"])
    counter.process(torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16), torch.tensor([1]))
    assert counter.evaluate()["top1_error"] == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_no_success(bad):
    logits = torch.zeros(3, 2)
    logits[1, 0] = bad
    with pytest.raises(TrainingError, match="not for 1 of 3 images"):
        TopK(["a", "b"]).process(logits, torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2), r"needs scores \(2, 2\), got \(2, 3\)"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), "labels in 0 … 1, got 0 … 2"),
        (torch.zeros(2, 2), torch.tensor([0, -1]), "labels in 0 … 1, got -1 … 0"),
    ],
)
def test_wrong_arguments(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        TopK(["a", "b"]).process(logits, labels.long())
