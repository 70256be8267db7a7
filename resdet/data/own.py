"""Data sets of one's own, as ``torch.utils.data.Dataset`` objects, in the form that training and evaluation want."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from resdet.data.dataset import DetectionDataset
from resdet.data.finding import overshoot, owners
from resdet.data.formats.annotations import BoxWarning, in_first_pixel
from resdet.data.formats.readings import ROUNDED
from resdet.errors import ConfigError, DataError
from resdet.structures import Target
from resdet.structures.pictures import to_image


class IndexedDataset(Protocol):
    """The part of ``torch.utils.data.Dataset`` that is used here."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


def is_own(value: Any) -> bool:
    """Whether an option is a data set, and not the name or the options of one."""
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, (str, list, tuple, Mapping))


def class_names(items: Any) -> tuple[str, ...]:
    """The attribute ``classes`` of a data set, as in torchvision, or of those that a part or a row of data sets is made of.

    Raises:
        ConfigError: none has it, or those of a row differ.
    """
    whole = items
    while not hasattr(whole, "classes") and isinstance(whole, (Subset, ConcatDataset)):
        parts = whole.datasets if isinstance(whole, ConcatDataset) else [whole.dataset]
        if len(different := {class_names(part) for part in parts}) > 1:
            raise ConfigError(f"{type(items).__name__}: its data sets must have the same 'classes', have {sorted(different)}")
        whole = parts[0]
    found = tuple(map(str, getattr(whole, "classes", None) or ()))
    if not found:
        raise ConfigError(f"{type(items).__name__}: must have 'classes', the class names in label order")
    return found


@dataclass(frozen=True, eq=False)
class OwnDetectionDataset(DetectionDataset):
    """A detection data set whose images and objects come from your own data set.

    Attributes:
        items: the data set; the image of index i in it has the id i + 1.
    """

    items: IndexedDataset = field(kw_only=True)

    def path(self, index: int) -> Path:
        """A name for messages: there need not be a file."""
        return Path(f"{self.source}[{self.ids[index] - 1}]")

    def load(self, index: int) -> tuple[Image.Image, Target]:
        """Image ``index``, RGB, and its objects."""
        image, _ = self.items[int(self.ids[index]) - 1]
        return self._sized(index, _rgb(image, self.path(index)))

    def photo(self, index: int) -> tuple[Any, Target]:
        """The same as ``load``, because these images are decoded already."""
        return self.load(index)


def own_detection_dataset(items: IndexedDataset, names: Sequence[str]) -> OwnDetectionDataset:
    """A detection data set of ``(image, {"boxes": (N, 4), "labels": (N,)})`` pairs; every one is loaded once, for its size.

    Args:
        items: images as PIL images, uint8 arrays (H, W, 3) or uint8 tensors (3, H, W), RGB; boxes ``xyxy`` in pixels; labels
            0 … K-1.
        names: K class names, in label order.

    Raises:
        DataError: with every item that is not an image, and every box and label out of range. A ``BoxWarning`` tells of boxes
            that reach out of their images, which are clipped, and of those that look like fractions.
    """
    source, problems = type(items).__name__, []
    sizes, rows, labels, counts = [], [], [], []
    for index in range(len(items)):
        try:
            size, boxes, classes = _checked(items[index], len(names))
        except DataError as error:
            problems += [f"{source}[{index}]: {problem}" for problem in error.problems]
            continue
        sizes.append(size)
        rows.append(boxes)
        labels.append(classes)
        counts.append(len(boxes))
    if problems:
        raise DataError(problems)
    corners = np.concatenate([np.zeros((0, 4)), *rows])
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    number, none = len(boxes), np.zeros(len(boxes), bool)
    dataset = OwnDetectionDataset(
        names=tuple(names),
        category_ids=tuple(range(1, len(names) + 1)),
        source=source,
        files=np.zeros(len(sizes), "S1"),
        ids=np.arange(1, len(sizes) + 1),
        sizes=np.array(sizes, np.int64).reshape(-1, 2),
        offsets=np.cumsum([0, *counts]),
        boxes=boxes,
        labels=np.concatenate([np.zeros(0, np.int64), *labels]),
        crowd=none,
        difficult=none,
        ignore=none,
        empty=none,
        areas=boxes[:, 2] * boxes[:, 3],
        annotation_ids=np.arange(1, number + 1),
        items=items,
    )
    _warn(dataset)
    return dataset


def _warn(dataset: OwnDetectionDataset) -> None:
    """Tell of boxes that are probably not meant."""
    if in_first_pixel(dataset.boxes, dataset.sizes):
        doubt = "every box lies within the first pixel; boxes are x1, y1, x2, y2 in pixels, are these fractions of the image?"
        warnings.warn(f"{dataset.source}: {doubt}", BoxWarning, stacklevel=3)
    reach = overshoot(dataset)
    if count := int((reach >= ROUNDED).sum()):
        worst = int(reach.argmax())
        told = f"reach out of their images and were clipped, by {reach[worst]:.3g} pixels at most"
        warnings.warn(
            f"{dataset.source}: {count} boxes {told}: {dataset.path(owners(dataset)[worst])}", BoxWarning, stacklevel=3
        )


@dataclass(frozen=True)
class OwnClassificationDataset:
    """A classification data set of ``(image, label)`` pairs, labels 0 … K-1.

    Attributes:
        items: images as PIL images, uint8 arrays (H, W, 3) or uint8 tensors (3, H, W), RGB, with their labels.
        names: K class names, in label order.
        labels: the label of every image.
    """

    items: IndexedDataset
    names: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.items)

    def path(self, index: int) -> Path:
        """A name for messages: there need not be a file."""
        return Path(f"{type(self.items).__name__}[{index}]")

    def label(self, index: int) -> int:
        """The image's label, 0 … K-1."""
        return self.labels[index]

    def load(self, index: int) -> Image.Image:
        """The image, RGB; a DataError names an item that is not an image."""
        image, _ = self.items[index]
        return _rgb(image, self.path(index))

    def encoded(self, index: int) -> bytes | None:  # noqa: ARG002 - as of every classification data set
        """None, because the images are pixels without files."""
        return None


def own_classification_dataset(items: IndexedDataset, names: Sequence[str]) -> OwnClassificationDataset:
    """A classification data set of ``(image, label)`` pairs; labels are ``items.targets`` where it has them, as torchvision's.

    Raises:
        DataError: with every label that is out of range.
    """
    given = getattr(items, "targets", None)
    what = type(items).__name__
    labels = [
        _label(label, f"{what}[{index}]")
        for index, label in enumerate(given if given is not None else (_pair(items, index)[1] for index in range(len(items))))
    ]
    wrong = [index for index, label in enumerate(labels) if not 0 <= label < len(names)]
    if wrong:
        raise DataError([f"{what}[{index}]: label must be 0 … {len(names) - 1}, got {labels[index]}" for index in wrong])
    return OwnClassificationDataset(items, tuple(names), tuple(labels))


def _checked(item: Any, classes: int) -> tuple[tuple[int, int], NDArray[np.float64], NDArray[np.int64]]:
    """The size (height, width), boxes float64 (N, 4) and labels int64 (N,) of one pair."""
    if not (isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[1], dict)):
        raise DataError(f'must be a pair (image, {{"boxes", "labels"}}), got {_kinds(item)}')
    image, target = item
    missing = [key for key in ("boxes", "labels") if key not in target]
    if missing:
        raise DataError(f"its target must have {' and '.join(map(repr, missing))}, got {sorted(map(str, target))}")
    boxes, labels = (_numbers(key, target[key]) for key in ("boxes", "labels"))
    picture = _rgb(image, Path("image"))
    problems = []
    if boxes.size and boxes.shape[1:] != (4,):
        problems.append(f"boxes must be (N, 4), got {boxes.shape}")
    if labels.ndim > 1 or (labels != np.floor(labels)).any():
        problems.append(f"labels must be N whole numbers, got {labels.tolist()!r:.80}")
    if problems:
        raise DataError(problems)
    boxes, classified = boxes.reshape(-1, 4), labels.reshape(-1).astype(np.int64)
    if len(boxes) != len(classified):
        problems.append(f"must have as many labels as boxes, got {len(classified)} and {len(boxes)}")
    broken = ~(np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1))
    problems += [f"box {row}: must be x1 < x2, y1 < y2, got {boxes[row].tolist()}" for row in np.flatnonzero(broken)]
    size = np.array([picture.width, picture.height])
    away = ~broken & ((boxes[:, 2:] <= 0) | (boxes[:, :2] >= size)).any(1)
    problems += [
        f"box {row}: lies outside its image of {size[0]} x {size[1]} pixels, got {boxes[row].tolist()}"
        for row in np.flatnonzero(away)
    ]
    outside = (classified < 0) | (classified >= classes)
    problems += [f"label {row}: must be 0 … {classes - 1}, got {classified[row]}" for row in np.flatnonzero(outside)]
    if problems:
        raise DataError(problems)
    return (picture.height, picture.width), boxes, classified


def _pair(items: IndexedDataset, index: int) -> tuple[Any, Any]:
    item = items[index]
    if not (isinstance(item, (tuple, list)) and len(item) == 2):
        raise DataError(f"{type(items).__name__}[{index}]: must be a pair (image, label), got {_kinds(item)}")
    return item[0], item[1]


def _kinds(item: Any) -> str:
    """What an item is, and of a tuple or a list also what is in it."""
    if isinstance(item, (tuple, list)):
        return f"({', '.join(type(part).__name__ for part in item[:5])}{', …' * (len(item) > 5)})"
    return type(item).__name__


def _label(label: Any, where: str) -> int:
    try:
        return operator.index(label)
    except TypeError as error:
        raise DataError(f"{where}: label must be a whole number, got {label!r:.80}") from error


def _numbers(key: str, values: Any) -> NDArray[np.float64]:
    try:
        return torch.as_tensor(values).detach().cpu().double().numpy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{key} must be numbers, got {values!r:.80}") from error


def _rgb(image: Any, path: Path) -> Image.Image:
    """An RGB image of what a data set gave."""
    if isinstance(image, (str, Path)):
        raise DataError(
            f"{path}: must be the picture itself, as an open PIL image or an array, got the path {str(image)!r:.80}"
        )
    try:
        return to_image(image)
    except (TypeError, DataError) as error:
        raise DataError(f"{path}: {error}") from error
