"""Data sets of one's own: what their items may be, and what is told of the others."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from resdet.data.formats.annotations import BoxWarning
from resdet.data.own import class_names, own_classification_dataset, own_detection_dataset
from resdet.errors import ConfigError, DataError

PICTURE = Image.new("RGB", (20, 10), (9, 9, 9))


def _item(boxes: Any, labels: Any, picture: Any = PICTURE) -> tuple[Any, dict[str, Any]]:
    return picture, {"boxes": boxes, "labels": labels}


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (_item(torch.ones(4, 2), [0, 0]), r"boxes must be \(N, 4\), got \(4, 2\)"),
        (_item([0, 0, 5, 5], [0]), r"boxes must be \(N, 4\), got \(4,\)"),
        (_item([[0, 0, 5, 5]], [0.5]), r"labels must be N whole numbers, got \[0\.5\]"),
        (_item([[0, 0, 5, 5]], [float("nan")]), r"labels must be N whole numbers"),
        (_item([[0, 0, 5, 5]], [[0]]), r"labels must be N whole numbers"),
        (_item([[0, 0, 5, 5]], ["cat"]), r"labels must be numbers, got \['cat'\]"),
        (_item(None, [0]), "boxes must be numbers, got None"),
        (_item([[0, 0, 5, 5]], [0], "a.png"), "must be the picture itself.*'a.png'"),
        ((PICTURE, [{"bbox": [0, 0, 5, 5]}]), r'must be a pair \(image, \{"boxes", "labels"\}\), got \(Image, list\)'),
        (_item([[20, 0, 25, 5]], [0]), r"box 0: lies outside its image of 20 x 10 pixels, got \[20\.0, 0\.0, 25\.0, 5\.0\]"),
        (_item([[0, 0, 5, 5], [1, -4, 5, 0]], [0, 0]), "box 1: lies outside its image of 20 x 10 pixels"),
        (_item([[0, 0, 5, 5]], [0], np.ones((4, 4, 3))), r"got float64 \(4, 4, 3\)"),
    ],
)
def test_what_is_wrong_with_an_item_is_told(item: Any, problem: str) -> None:
    good = _item([[0, 0, 5, 5]], [0])
    with pytest.raises(DataError, match=rf"^list\[1\]: .*{problem}"):
        own_detection_dataset([good, item], ["cat"])


def test_boxes_that_are_probably_not_meant_are_told() -> None:
    with pytest.warns(BoxWarning, match="list: every box lies within the first pixel; .* are these fractions of the image"):
        own_detection_dataset([_item([[0.1, 0.2, 0.5, 0.6]], [0])] * 3, ["cat"])
    items = [
        _item([], []),
        _item([[0, 0, 5, 5], [-1, 0, 22, 9]], [0, 0]),
        _item([[0, 4, 8, 13]], [0]),
        _item([[0, 4, 8, 10.01]], [0]),
    ]
    with pytest.warns(
        BoxWarning, match=r"list: 2 boxes reach out of their images and were clipped, by 3 pixels at most: list\[2\]"
    ):
        dataset = own_detection_dataset(items, ["cat"])
    assert dataset.load(1)[1].boxes.tolist() == [[0, 0, 5, 5], [0, 0, 20, 9]]
    assert dataset.load(2)[1].boxes.tolist() == [[0, 4, 8, 10]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own_detection_dataset([_item([], [])] * 2, ["cat"])
        own_detection_dataset([_item([[0, 0, 20, 10]], [0])] * 2, ["cat"])


class Named:
    def __init__(self, *classes: str) -> None:
        self.classes = classes

    def __len__(self) -> int:
        return 2


def test_the_class_names_of_parts_and_rows_of_data_sets() -> None:
    cats = Named("cat", "dog")
    assert class_names(cats) == class_names(Subset(cats, [1])) == ("cat", "dog")  # type: ignore[arg-type]
    assert class_names(Subset(ConcatDataset([Subset(cats, [0]), cats]), [0])) == ("cat", "dog")  # type: ignore[arg-type,list-item]
    with pytest.raises(
        ConfigError, match=r"ConcatDataset: its data sets must have the same 'classes', have \[\('cat', 'dog'\), \('dog',"
    ):
        class_names(ConcatDataset([cats, Named("dog", "cat")]))  # type: ignore[list-item]
    for without in ([], Named(), ConcatDataset([[(1, 2)]])):  # type: ignore[list-item]
        with pytest.raises(ConfigError, match="must have 'classes', the class names in label order"):
            class_names(without)


def test_tensors_with_a_gradient_and_pictures_without_objects() -> None:
    boxes = torch.tensor([[1.0, 2, 3, 4]], requires_grad=True)
    dataset = own_detection_dataset(
        [_item(boxes, np.array([0], np.uint8)), _item([], []), _item(torch.zeros(0, 4), [])], ["cat"]
    )
    assert dataset.load(0)[1].boxes.tolist() == [[1, 2, 3, 4]]
    assert [len(dataset.load(index)[1].boxes) for index in range(3)] == [1, 0, 0]


def test_pictures_are_converted_as_those_of_files() -> None:
    deep = Image.fromarray(np.full((10, 20), 32896, np.uint16))
    grey = np.full((10, 20), 128, np.uint8)
    dataset = own_classification_dataset([(deep, 0), (grey, 0), (torch.from_numpy(grey)[None], 0)], ["cat"])
    assert [dataset.load(index).getpixel((0, 0)) for index in range(3)] == [(128, 128, 128)] * 3


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ((PICTURE, 0.7), r"label must be a whole number, got 0\.7"),
        ((PICTURE, "cat"), "label must be a whole number, got 'cat'"),
        (PICTURE, r"must be a pair \(image, label\), got Image"),
        ((PICTURE, 0, 0), r"must be a pair \(image, label\), got \(Image, int, int\)"),
    ],
)
def test_labels_of_a_classifier_are_whole_numbers(item: Any, problem: str) -> None:
    with pytest.raises(DataError, match=rf"^list\[1\]: {problem}"):
        own_classification_dataset([(PICTURE, 0), item], ["cat"])
