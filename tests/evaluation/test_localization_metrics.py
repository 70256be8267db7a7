import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.data.localization import UNLABELLED
from resdet.errors import TrainingError
from resdet.evaluation.localization import Guesses, Localization, localization_metrics

NAMES = ("ant", "bee", "cat")


def said(*pairs: tuple[int, tuple[float, float, float, float]]) -> Guesses:
    labels = torch.tensor([label for label, _ in pairs], dtype=torch.int64)
    boxes = torch.tensor([box for _, box in pairs], dtype=torch.float32).reshape(-1, 4)
    return Guesses(labels, boxes)


def kit_overlap(a: list[float], b: list[float]) -> float:
    """The development kit's: pixels of boxes that include their last one; ``a`` and ``b`` are continuous."""
    a, b = ([x1, y1, x2 - 1, y2 - 1] for x1, y1, x2, y2 in (a, b))
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
    return width * height / (area - width * height)


def brute_force(found: list[Localization], labels: list[int], truths: list[list[list[float]]], names: tuple) -> dict:
    """Image by image, guess by guess, as the task's rules say it."""
    rows = []
    for image, label, truth in zip(found, labels, truths, strict=True):
        row = {"label": label, "boxed": label >= 0 and bool(truth)}
        pairs = list(zip(image.guesses.labels.tolist(), image.guesses.boxes.tolist(), strict=True))[:5] if image.guesses else []
        for count in (1, 5):
            right_class = [box for guess, box in pairs[:count] if guess == label]
            row[f"class{count}"] = bool(right_class)
            row[f"loc{count}"] = any(kit_overlap(box, true) >= 0.5 for box in right_class for true in truth)
        row["iou"] = (
            max((kit_overlap(image.box.tolist(), true) for true in truth), default=None) if image.box is not None else None
        )
        rows.append(row)

    guessed = any(image.guesses for image in found)

    def mean(values: list) -> float | None:
        return sum(values) / len(values) if values else None

    def errors(chosen: list[dict]) -> dict:
        boxed = [row for row in chosen if row["boxed"]]
        known = [row for row in chosen if row["label"] >= 0]
        ious = [row["iou"] for row in boxed if row["iou"] is not None]
        return {
            "top1_loc_error": mean([not row["loc1"] for row in boxed]) if guessed else None,
            "top5_loc_error": mean([not row["loc5"] for row in boxed]) if guessed else None,
            "gt_class_loc_error": mean([iou < 0.5 for iou in ious]),
            "top1_error": mean([not row["class1"] for row in known]) if guessed else None,
            "top5_error": mean([not row["class5"] for row in known]) if guessed else None,
            "mean_iou": mean(ious),
        }

    boxed = [row for row in rows if row["boxed"]]
    causes = {
        f"top{count}": {
            "wrong_class": mean([not row[f"class{count}"] for row in boxed]) if guessed else None,
            "wrong_box": mean([row[f"class{count}"] and not row[f"loc{count}"] for row in boxed]) if guessed else None,
        }
        for count in (1, 5)
    }
    per_class = {
        name: {**errors([row for row in rows if row["label"] == label]), "images": labels.count(label)}
        for label, name in enumerate(names)
    }
    return {**errors(rows), "errors": causes, "per_class": per_class}


# small whole numbers: IoUs of exactly 0.5 and equal boxes are common
CORNER = st.integers(0, 3)
BOX = st.tuples(CORNER, CORNER, CORNER, CORNER).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]) + 1, max(box[1], box[3]) + 1)
)
GUESSES = st.one_of(st.none(), st.lists(st.tuples(st.integers(0, 2), BOX), max_size=7).map(lambda pairs: said(*pairs)))
OWN = st.one_of(st.none(), BOX.map(lambda box: torch.tensor(box, dtype=torch.float32)))
IMAGE = st.tuples(GUESSES, OWN, st.integers(UNLABELLED, 2), st.lists(BOX, max_size=4))


def close(a: object, b: object) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    return a == b if a is None or b is None else math.isclose(a, b, abs_tol=1e-12)


@given(st.lists(IMAGE, max_size=8))
def test_against_brute_force(images: list) -> None:
    found = [Localization(guesses, own) for guesses, own, _, _ in images]
    labels = [label for *_, label, _ in images]
    truths = [[list(box) for box in boxes] for *_, boxes in images]
    tensors = [torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) for boxes in truths]
    metrics = localization_metrics(found, labels, tensors, NAMES)
    meta = metrics.pop("meta")
    assert close(metrics, brute_force(found, labels, truths, NAMES))
    assert meta["images"] == len(images)
    assert meta["unlabelled"] == labels.count(UNLABELLED)
    assert meta["without_box"] == sum(label >= 0 and not boxes for label, boxes in zip(labels, truths, strict=True))


HALF = (0.0, 0.0, 2.0, 1.0)
WHOLE = (0.0, 0.0, 2.0, 2.0)
ASIDE = (5.0, 5.0, 9.0, 9.0)
TRUE = torch.tensor([WHOLE])
BOTH = torch.tensor([WHOLE, ASIDE])


@pytest.mark.parametrize(
    ("guesses", "truth", "top1_loc", "top5_loc", "top1", "top5", "causes"),
    [
        (said((0, HALF)), TRUE, 0, 0, 0, 0, (0, 0)),  # an IoU of exactly one half is enough
        (
            said(
                (0, (0.0, 0.0, 2.0, 0.99)),
            ),
            TRUE,
            1,
            1,
            0,
            0,
            (0, 1),
        ),
        (said((1, WHOLE)), TRUE, 1, 1, 1, 1, (1, 0)),
        (said((1, WHOLE), (0, WHOLE)), TRUE, 1, 0, 1, 0, (0, 0)),
        (said((0, ASIDE), (0, WHOLE)), TRUE, 1, 0, 0, 0, (0, 0)),  # the same class twice
        (said((0, ASIDE)), BOTH, 0, 0, 0, 0, (0, 0)),  # any object of the class will do
        (said(*[(1, WHOLE)] * 4, (0, WHOLE)), TRUE, 1, 0, 1, 0, (0, 0)),
        (said(*[(1, WHOLE)] * 5, (0, WHOLE)), TRUE, 1, 1, 1, 1, (1, 0)),  # the sixth does not count
        (said(), TRUE, 1, 1, 1, 1, (1, 0)),
        (said((0, WHOLE)), torch.zeros(0, 4), None, None, 0, 0, (None, None)),
    ],
)
def test_one_image_by_hand(
    guesses: Guesses, truth: torch.Tensor, top1_loc: float, top5_loc: float, top1: float, top5: float, causes: tuple
) -> None:
    metrics = localization_metrics([Localization(guesses)], [0], [truth], NAMES)
    found = [metrics[key] for key in ("top1_loc_error", "top5_loc_error", "top1_error", "top5_error")]
    assert found == [top1_loc, top5_loc, top1, top5]
    assert tuple(metrics["errors"]["top5"].values()) == causes
    assert metrics["gt_class_loc_error"] is metrics["mean_iou"] is None


def test_only_the_own_class_was_asked_for() -> None:
    found = [Localization(box=torch.tensor(box)) for box in (HALF, ASIDE, WHOLE)]
    metrics = localization_metrics(found, [0, 0, 1], [BOTH, TRUE, torch.zeros(0, 4)], NAMES)
    assert metrics["gt_class_loc_error"] == 0.5
    assert metrics["mean_iou"] == 0.25
    assert all(metrics[key] is None for key in ("top1_loc_error", "top5_loc_error", "top1_error", "top5_error"))
    assert metrics["errors"]["top5"] == {"wrong_class": None, "wrong_box": None}
    assert metrics["per_class"]["bee"]["gt_class_loc_error"] is None
    assert metrics["per_class"]["bee"]["images"] == 1
    assert metrics["meta"] == {"metric": "localization", "iou": 0.5, "images": 3, "unlabelled": 0, "without_box": 1}


def test_what_nobody_tells_is_none() -> None:
    guesses = said((0, WHOLE))
    assert (guesses.probabilities, guesses.scores) == (None, None)
    assert (Localization().guesses, Localization().box, Localization().score) == (None, None, 0.0)


def test_boxes_that_are_not_finite_and_lengths_that_differ() -> None:
    broken = [Localization(said((0, (0.0, 0.0, math.nan, 1.0)))), Localization(box=torch.tensor(WHOLE)), Localization()]
    with pytest.raises(TrainingError, match="boxes must be finite, they are not for 1 of 3 images"):
        localization_metrics(broken, [0, 0, 0], [TRUE] * 3, NAMES)
    with pytest.raises(ValueError, match="zip"):
        localization_metrics(broken[1:], [0], [TRUE], NAMES)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=2)
)
def test_the_kits_overlap_is_ours(pair: list[tuple[int, int, int, int]]) -> None:
    first, second = ([float(x), float(y), float(x + w), float(y + h)] for x, y, w, h in pair)
    metrics = localization_metrics([Localization(box=torch.tensor(first))], [0], [torch.tensor([second])], NAMES)
    assert np.isclose(metrics["mean_iou"], kit_overlap(first, second), atol=1e-12)
