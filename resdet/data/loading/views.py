"""Data sets as their transforms show them: what a loader loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.images.photo import Photo, exact
from resdet.data.loading.batches import ClassificationBatch, DetectionBatch, LocalizationBatch
from resdet.data.loading.randomness import preserved_generators, seed_generators
from resdet.data.loading.samplers import Key
from resdet.data.localization import LocalizationDataset
from resdet.data.proposals import Proposals
from resdet.errors import DataError
from resdet.structures import Target


class DetectionTransform(Protocol):
    """From an image and its boxes to a uint8 tensor (3, H, W) and boxes in its pixels."""

    def with_proposals(self, image: Any, target: Target, proposals: Tensor) -> tuple[Tensor, Target, Tensor]:
        """Change an image (a ``Photo`` for a fast view), its target and its proposals (R, 4), all in its pixels, alike."""


@dataclass(frozen=True)
class DetectionView:
    """A detection data set as its transform shows it: what a loader loads.

    Attributes:
        dataset: the images and their objects.
        transform: from an image and its target to what the network sees.
        seed: the seed of the transform's random numbers.
        pyramid: adds the decoded image at several scales.
        proposals: adds precomputed regions, of the images of ``dataset`` in its order.
        fast: gives the transform images that are not decoded yet (``Photo``), of which it takes what it needs.
    """

    dataset: DetectionDataset
    transform: DetectionTransform
    seed: int = 0
    pyramid: Callable[[Image.Image], list[Tensor]] | None = None
    proposals: Proposals | None = None
    fast: bool = False

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: Sequence[Key]) -> DetectionBatch:
        """Load the samples ``(index, draw)``; a DataError names the image."""
        with preserved_generators():
            images, targets, proposals, pyramids = zip(*(self._sample(*key) for key in keys), strict=True)
        return DetectionBatch(
            list(images),
            list(targets),
            [self.dataset.size(index) for index, _ in keys],
            pyramid=list(pyramids) if self.pyramid else None,
            proposals=list(proposals) if self.proposals else None,
        )

    def _sample(self, index: int, draw: int) -> tuple[Tensor, Target, Tensor, list[Tensor]]:
        image, target = self.dataset.photo(index) if self.fast else self.dataset.load(index)
        seed_generators(self.seed, draw)
        boxes = self.proposals.boxes(index) if self.proposals else torch.zeros(0, 4)
        return *self.transform.with_proposals(image, target, boxes), self.pyramid(exact(image)) if self.pyramid else []


@dataclass(frozen=True)
class ClassificationView:
    """A classification data set as its transform shows it: what a loader loads.

    Attributes:
        dataset: labelled images.
        transform: from an RGB image to a uint8 tensor (3, S, S).
        seed: the seed of the transform's random numbers.
        fast: gives the transform images that are not decoded yet (``Photo``), where the data set has files.
    """

    dataset: ClassificationDataset
    transform: Callable[[Any], Tensor]
    seed: int = 0
    fast: bool = False

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: Sequence[Key]) -> ClassificationBatch:
        """Load the samples ``(index, draw)``; a DataError names the image."""
        with preserved_generators():
            images = torch.stack([self._sample(*key) for key in keys])
        labels = torch.tensor([self.dataset.label(index) for index, _ in keys], dtype=torch.int64)
        return ClassificationBatch(images, labels, tuple(str(self.dataset.path(index)) for index, _ in keys))

    def _sample(self, index: int, draw: int) -> Tensor:
        content = self.dataset.encoded(index) if self.fast else None
        image = self.dataset.load(index) if content is None else Photo(self.dataset.path(index), content)
        seed_generators(self.seed, draw)
        try:
            return self.transform(image)
        except DataError as error:
            raise DataError([f"{self.dataset.path(index)}: {problem}" for problem in error.problems]) from error


@dataclass(frozen=True)
class LocalizationView:
    """A localization data set as its transform shows it: what a loader loads.

    Attributes:
        dataset: labelled images with boxes.
        transform: from an RGB image and its boxes, in its pixels, to a uint8 tensor (3, S, S) and boxes in pixels of that.
        seed: the seed of the transform's random numbers.
    """

    dataset: LocalizationDataset
    transform: Callable[[Image.Image, Tensor], tuple[Tensor, Tensor]]
    seed: int = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: Sequence[Key]) -> LocalizationBatch:
        """Load the samples ``(index, draw)``; a DataError names the image."""
        with preserved_generators():
            images, boxes = zip(*(self._sample(*key) for key in keys), strict=True)
        labels = torch.tensor([self.dataset.label(index) for index, _ in keys], dtype=torch.int64)
        paths = tuple(str(self.dataset.path(index)) for index, _ in keys)
        return LocalizationBatch(torch.stack(images), labels, list(boxes), paths)

    def _sample(self, index: int, draw: int) -> tuple[Tensor, Tensor]:
        image, boxes = self.dataset.load(index), self.dataset.boxes(index)
        seed_generators(self.seed, draw)
        try:
            return self.transform(image, boxes)
        except DataError as error:
            raise DataError([f"{self.dataset.path(index)}: {problem}" for problem in error.problems]) from error
