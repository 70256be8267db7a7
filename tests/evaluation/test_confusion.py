"""The confusion matrix against counting in plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resdet.evaluation import Predictions, evaluate_predictions
from resdet.evaluation.confusion import confusion_matrix, most_confused


@given(seed=st.integers(0, 2**31), images=st.integers(0, 60), classes=st.integers(1, 6))
def test_against_counting(seed: int, images: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.integers(0, 4, (images, classes)).astype(np.float32)  # many ties
    labels = generator.integers(0, classes, images)
    counted = [[0] * classes for _ in range(classes)]
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        counted[label][row.index(max(row))] += 1
    matrix = confusion_matrix(probabilities, labels)
    assert matrix.tolist() == counted
    names = [f"c{k}" for k in range(classes)]
    pairs = [(-counted[a][b], a, b) for a in range(classes) for b in range(classes) if a != b and counted[a][b]]
    expected = [{"true": names[a], "predicted": names[b], "images": -count} for count, a, b in sorted(pairs)]
    assert most_confused(matrix, names, 4) == expected[:4]
    assert most_confused(matrix, names, 1000) == expected


@given(seed=st.integers(0, 2**31), images=st.integers(0, 40), classes=st.integers(1, 7))
def test_all_numbers_agree(seed: int, images: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), images).astype(np.float32).reshape(images, classes)
    labels = generator.integers(0, classes, images)
    names = tuple(f"c{k}" for k in range(classes))
    predictions = Predictions(probabilities, labels, names, tuple(f"{k}.png" for k in range(images)))
    found = evaluate_predictions(predictions)
    assert list(found) == ["top1_error", "top5_error", "ece", "nll", "per_class", "confused", "meta"]
    assert found["meta"]["images"] == images
    if not images:
        assert [found[name] for name in ("top1_error", "top5_error", "ece", "nll")] == [None] * 4
        assert found["confused"] == []
        return
    wrong = images - np.trace(confusion_matrix(probabilities, labels))
    assert found["top1_error"] == wrong / images
    if classes <= 4:
        assert sum(row["images"] for row in found["confused"]) == wrong or len(found["confused"]) == 10
    for label, name in enumerate(names):
        assert found["per_class"][name]["images"] == (labels == label).sum()


def test_classes_of_the_same_name_are_told_apart() -> None:
    predictions = Predictions(np.array([[0, 1]], np.float32), np.array([0]), ("crane", "crane"), ("a.png",))
    assert evaluate_predictions(predictions)["confused"] == [{"true": "crane [0]", "predicted": "crane [1]", "images": 1}]
