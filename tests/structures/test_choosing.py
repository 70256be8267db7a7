"""What may be said to choose among detections, and equality of results."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.errors import ConfigError
from resdet.structures import Detections, Target

FOUND = Detections(
    torch.arange(12.0).reshape(3, 4), torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0, 1, 2]), (30, 40), ["a", "b", "c"]
)


@pytest.mark.parametrize("key", [None, 1.0, "a", ..., np.array([0.5]), np.array(["a"]), [[0, 1], [1, 2]], {"a": 1}])
def test_what_chooses_nothing_is_told(key: Any) -> None:
    with pytest.raises(TypeError, match="objects are chosen by a whole number"):
        FOUND[key]


@pytest.mark.parametrize(
    "mask", [True, [True, False], np.ones(4, bool), FOUND.boxes > 1, torch.tensor(True), torch.zeros(0, dtype=torch.bool)]
)
def test_a_mask_has_a_value_for_each_object(mask: Any) -> None:
    with pytest.raises(IndexError, match="as there are objects, 3, got shape"):
        FOUND[mask]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int8, np.int64])
def test_whole_numbers_of_any_kind_are_places(kind: Any) -> None:
    """torch takes numbers of 8 bits for a mask."""
    assert FOUND[np.array([1, 0, 1], kind)].labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("given", [50, -0.1, float("nan"), "x", None, [0.1, 0.2], torch.ones(2)])
def test_a_score_is_a_share(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"'score' must be in \[0, 1\], got"):
        FOUND.above(given)
    with pytest.raises(ConfigError, match=r"'score' must be in \[0, 1\], got"):
        FOUND.filter(score=given)


@pytest.mark.parametrize("given", [1.0, True, None, b"a", torch.tensor(7), [None], [1.5]])
def test_what_is_no_class_is_told(given: Any) -> None:
    if given is None:
        assert FOUND.filter(classes=given) == FOUND
        return
    with pytest.raises(ConfigError, match="a class's label must be in 0 … 2, got"):
        FOUND.filter(classes=given)


@pytest.mark.parametrize("given", [np.int64(1), torch.tensor(1), np.array(1), np.array([1]), ["b"], iter(["b"]), np.str_("b")])
def test_a_class_may_be_a_number_of_numpy_or_torch(given: Any) -> None:
    assert FOUND.filter(classes=given).labels.tolist() == [1]


def test_results_are_equal_where_their_values_are() -> None:
    target = Target(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([0]), (5, 5))
    for one, other in ((FOUND, FOUND.above(0.2)), (target, Target(target.boxes + 1, target.labels, (5, 5)))):
        assert one == copy.deepcopy(one) == pickle.loads(pickle.dumps(one))
        assert one != other
        assert one != 3
        with pytest.raises(TypeError, match="unhashable"):
            hash(one)


def test_labels_without_a_name_are_told() -> None:
    for label in (-1, 3):
        found = Detections(torch.zeros(1, 4), torch.ones(1), torch.tensor([label]), (5, 5), ["a", "b", "c"])
        with pytest.raises(ValueError, match=f"labels must be in 0 … 2, as there are 3 names, got {label}"):
            list(found)


def test_results_are_made_of_tensors() -> None:
    with pytest.raises(TypeError, match="needs boxes, scores and labels as tensors, got list and ndarray"):
        Detections([[0, 0, 1, 1]], torch.ones(1), np.zeros(1, int), (5, 5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"whole numbers, got torch\.float32"):
        Detections(torch.zeros(1, 4), torch.ones(1), torch.zeros(1), (5, 5))
    with pytest.raises(ValueError, match="Detections needs boxes"):
        Detections(torch.zeros(1, 4), torch.tensor(0.5), torch.tensor([0]), (5, 5))


def test_coco_rows_with_numbers_of_numpy_are_json() -> None:
    rows = json.loads(json.dumps(FOUND.to_coco(np.array([7, 8, 9]), image_id=np.int64(3))))  # type: ignore[arg-type]
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(3, 7), (3, 8), (3, 9)]
    for ids in ([7], {0: 7}, 7, [7, 8, "x"]):
        with pytest.raises(ConfigError, match="'category_ids' must be a whole number for each label, got"):
            FOUND.to_coco(ids)  # type: ignore[arg-type]


def test_drawing_on_16_bit_grey_scales_it_and_wrong_letters_are_told() -> None:
    grey = Image.fromarray(np.full((30, 40), 32896, np.uint16))
    assert FOUND[:0].draw(grey).getpixel((39, 29)) == (128, 128, 128)
    for size in (0, -3, "a"):
        with pytest.raises(ConfigError, match="'text_size' must be above 0, got"):
            FOUND.draw(grey, size)  # type: ignore[arg-type]
