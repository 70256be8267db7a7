"""A finding about a data set, and the names of places in it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset


def fixes(kind: str, how: str) -> str:
    """The remedy of findings that ``data fix`` mends; ``how`` says in what way."""
    return f"`resdet data fix --kinds {kind}` {how}"


@dataclass(frozen=True)
class Finding:
    """Something that a data set may have and its owner should know of; unlike an error it does not hinder training.

    Attributes:
        kind: a short name, equal for all findings of one sort.
        where: the first place: a file, and an object of it or an id.
        count: at how many places it was found.
        message: what was found, with the count.
        remedy: what to do, with the command or the option.
    """

    kind: str
    where: str
    count: int
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}: {self.where}; {self.remedy}"


def object_place(dataset: DetectionDataset, row: int) -> str:
    """The image file of an object, its number there, counted from 1, and its class; of a json the annotation's id too."""
    index = int(np.searchsorted(dataset.offsets, row, side="right")) - 1
    key = f"annotation id {dataset.annotation_ids[row]}, " if dataset.source.endswith(".json") else ""
    name = dataset.names[dataset.labels[row]]
    return f"{dataset.path(index)}: object {row - dataset.offsets[index] + 1} ({key}{name!r})"


def about_objects(kind: str, dataset: DetectionDataset, rows: NDArray[np.bool_], message: str, remedy: str) -> list[Finding]:
    """One finding on the objects of the mask ``rows`` (N,); none where it marks none. ``message`` has ``{count}``."""
    places = np.flatnonzero(rows)
    if not len(places):
        return []
    where = object_place(dataset, int(places[0]))
    return [Finding(kind, where, len(places), message.format(count=len(places)), remedy)]


def image_place(dataset: DetectionDataset, index: int) -> str:
    """An image's file; of a json the image's id too."""
    key = f" (image id {dataset.ids[index]})" if dataset.source.endswith(".json") else ""
    return f"{dataset.path(index)}{key}"


def owners(dataset: DetectionDataset) -> NDArray[np.int64]:
    """int64 (N,): the index of each object's image."""
    found: NDArray[np.int64] = np.repeat(np.arange(len(dataset)), np.diff(dataset.offsets))
    return found


def limits(dataset: DetectionDataset) -> NDArray[np.int64]:
    """int64 (N, 2): width and height of each object's image, pixels."""
    found: NDArray[np.int64] = dataset.sizes[owners(dataset), ::-1]
    return found


def folders(dataset: DetectionDataset) -> NDArray[np.int64]:
    """int64 (M,): the number of each image's folder."""
    places = [os.path.dirname(name) for name in dataset.files.tolist()]  # noqa: PTH120
    return np.unique(np.array(places), return_inverse=True)[1].reshape(-1).astype(np.int64)


def overshoot(dataset: DetectionDataset) -> NDArray[np.float64]:
    """(N,): by how many pixels each box reaches out of its image, at most; not above 0 when it lies inside."""
    ends = dataset.boxes[:, :2] + dataset.boxes[:, 2:]
    found: NDArray[np.float64] = np.maximum(-dataset.boxes[:, :2], ends - limits(dataset)).max(1, initial=-np.inf)
    return found
