"""A baseline localizer that ignores the image: one fixed box for each class. A trained localizer must be better."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from resdet.data.localization import LocalizationDataset
from resdet.evaluation.localization import Localization, localization_metrics


def mean_boxes(dataset: LocalizationDataset) -> Tensor:
    """The mean box of each class, as shares of the image's width and height.

    Returns:
        float64 (K, 4) ``xyxy`` in [0, 1]. A class without boxes gets the mean of all boxes, or (0, 0, 1, 1) if there are none.

    Raises:
        DataError: when the size of an image is not annotated and the image cannot be read.
    """
    sums, counts = torch.zeros(len(dataset.names), 4, dtype=torch.float64), torch.zeros(len(dataset.names), 1)
    for index in range(len(dataset)):
        if len(boxes := dataset.boxes(index)):
            sums[dataset.label(index)] += (boxes.double() / _scale(dataset, index)).sum(0)
            counts[dataset.label(index)] += len(boxes)
    everywhere = sums.sum(0) / counts.sum() if counts.any() else torch.tensor([0.0, 0, 1, 1], dtype=torch.float64)
    return torch.where(counts > 0, sums / counts.clamp(min=1), everywhere)


class ConstantBox:
    """A localizer that gives the mean boxes of ``train``, whatever the image shows; a DataError as ``mean_boxes``."""

    def __init__(self, train: LocalizationDataset) -> None:
        self.names = train.names
        self._boxes = mean_boxes(train)

    def localize(self, image: Image.Image, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The box of each class, float32 (C, 4) ``xyxy`` in pixels of the image, and scores of 1 (C,)."""
        side = torch.tensor([image.width, image.height] * 2, dtype=torch.float64)
        return (self._boxes[list(classes)] * side).float(), torch.ones(len(classes))


def constant_box_error(train: LocalizationDataset, val: LocalizationDataset) -> float | None:
    """The GT-class localization error, in [0, 1], of the mean boxes of ``train`` on ``val``; None when ``val`` has no box.

    Raises:
        ValueError: when the two data sets have different classes.
        DataError: see ``mean_boxes``.
    """
    if train.names != val.names:
        raise ValueError(f"both data sets must have the same classes, got {train.names[:4]} … and {val.names[:4]} …")
    constant = mean_boxes(train)
    indices = [index for index in range(len(val)) if len(val.boxes(index))]
    labels = [val.label(index) for index in indices]
    found = [Localization(box=constant[label] * _scale(val, index)) for index, label in zip(indices, labels, strict=True)]
    error: float | None = localization_metrics(found, labels, [val.boxes(index) for index in indices], val.names)[
        "gt_class_loc_error"
    ]
    return error


def _scale(dataset: LocalizationDataset, index: int) -> Tensor:
    height, width = dataset.size(index)
    return torch.tensor([width, height, width, height], dtype=torch.float64)
