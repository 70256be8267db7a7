"""The images that a localizer is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from resdet.config.schema import LocalizationDataConfig
from resdet.data.localization import LocalizedImages, boxed_indices
from resdet.data.sources.localization import build_localization_dataset
from resdet.errors import DataError


@dataclass(frozen=True)
class BoxedImages:
    """The training set, and the indices of its images with a box; only classifiers can use the others."""

    dataset: LocalizedImages
    boxed: list[int]


def read_boxed_images(data: LocalizationDataConfig) -> BoxedImages:
    """The training set of a config; a DataError when no image has a box, or with every problem of the set."""
    dataset = build_localization_dataset(data.train)
    boxed = boxed_indices(dataset)
    if not boxed:
        raise DataError(f"{dataset.source}: no image has a box to train on")
    return BoxedImages(dataset, boxed)
