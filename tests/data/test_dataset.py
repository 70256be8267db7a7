"""Detection data sets joined and cut."""

from __future__ import annotations

import pytest

from resdet.data.dataset import aspect_groups, concatenate, subset
from resdet.data.formats.coco import read_coco


def test_concatenate_needs_the_same_names(tiny_coco) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    other = read_coco(tiny_coco.images, tiny_coco.annotations, ["disk", "box"])
    with pytest.raises(ValueError, match="same class names"):
        concatenate([dataset, other])
    with pytest.raises(ValueError, match="same class names"):
        concatenate([])


def test_subset_and_groups(tiny_coco) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    part = subset(dataset, [5, 4, 0])
    assert part.image_ids == [6, 5, 1]
    for index, original in enumerate([5, 4, 0]):
        assert part.target(index).boxes.tolist() == dataset.target(original).boxes.tolist()
        assert part.target(index).ignore.tolist() == dataset.target(original).ignore.tolist()
    assert {row["image_id"] for row in part.ground_truth()["annotations"]} == {6, 1}
    assert len(subset(dataset, [])) == 0
    assert aspect_groups(dataset, [0, 1, 4]) == [1, 0, 1]
