"""Reads a whole data set once, to find every problem that training would meet."""

from __future__ import annotations

from collections.abc import Sequence

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.loading.parallel import in_chunks
from resdet.data.localization import LocalizedImages
from resdet.errors import DataError


def undecodable(dataset: DetectionDataset | ClassificationDataset) -> list[str]:
    """Load every image; return what is wrong with those that cannot be read or have another size than annotated."""

    def problems_of(indices: Sequence[int]) -> list[str]:
        problems: list[str] = []
        for index in indices:
            try:
                dataset.load(index)
            except DataError as error:
                problems += error.problems
        return problems

    return [problem for problems in in_chunks(problems_of, range(len(dataset))) for problem in problems]


def summary(dataset: DetectionDataset | ClassificationDataset) -> str:
    """One line: how many images, objects and classes."""
    if isinstance(dataset, DetectionDataset):
        empty = int((dataset.offsets[1:] == dataset.offsets[:-1]).sum())
        return (
            f"{len(dataset)} images ({empty} without objects), {len(dataset.labels)} objects "
            f"({int(dataset.crowd.sum())} crowds, {int(dataset.difficult.sum())} difficult), {len(dataset.names)} classes"
        )
    images, classes = f"{len(dataset)} images", f"{len(dataset.names)} classes"
    if isinstance(dataset, LocalizedImages):
        bare = int((dataset.offsets[1:] == dataset.offsets[:-1]).sum())
        return f"{images} ({bare} without a box), {len(dataset.rows)} boxes, {classes}"
    return f"{images}, {classes}"
