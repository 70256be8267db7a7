"""The views of an image that a classifier is tested on (paper, sections 3.4 and 4.1).

A view is a uint8 RGB tensor cut from the decoded image, resized by PIL's bilinear filter. Legend: N images, V views of an image
at one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from resdet.data.dataset import ClassificationDataset
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.data.transforms.sizes import resize_short_side
from resdet.errors import ConfigError

KINDS = ("center", "ten_crop", "dense")


@dataclass(frozen=True)
class Views:
    """Which views of an image are taken.

    Attributes:
        kind: ``"center"``, ``"ten_crop"`` or ``"dense"``.
        short_sides: the scales: shorter sides that images are resized to, pixels; 0: not resized.
        crop: side of the square that the network was trained on, and that is cut out but for dense, pixels.
        flip: dense: the mirrored image too.

    Raises:
        ConfigError: from the constructor, with every option out of range.
    """

    kind: str
    short_sides: tuple[int, ...]
    crop: int
    flip: bool = False

    def __post_init__(self) -> None:
        problems = []
        if self.kind not in KINDS:
            problems.append(f"views: 'kind' must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.short_sides or min(self.short_sides) < 0:
            problems.append(f"views: 'short_sides' must be at least one number, each at least 0, got {self.short_sides}")
        if self.crop < 1:
            problems.append(f"views: 'crop' must be at least 1, got {self.crop}")
        if self.flip and self.kind != "dense":
            problems.append(f"views: 'flip' goes with dense, got {self.kind!r}")
        if problems:
            raise ConfigError(problems)

    def __call__(self, image: Image.Image) -> list[Tensor]:
        """The views of an RGB image: uint8 (V, 3, H, W) for each scale."""
        return [self._at_scale(image, short_side) for short_side in self.short_sides]

    def _at_scale(self, image: Image.Image, short_side: int) -> Tensor:
        if self.kind == "ten_crop":
            return ten_crop(image, short_side, self.crop)
        if self.kind == "dense":
            return whole_image(image, short_side, flip=self.flip)
        return ClassificationTestTransform(short_side, self.crop)(image)[None]


def ten_crop(image: Image.Image, short_side: int, crop: int) -> Tensor:
    """Ten squares of an RGB image (paper, section 3.4, after Krizhevsky et al. 2012).

    Args:
        image: of any size.
        short_side: the shorter side that it is resized to, pixels; 0: not resized.
        crop: side of the squares, pixels; a smaller image gets a black frame, as for the centre crop.

    Returns:
        uint8 (10, 3, crop, crop): top left, top right, bottom left, bottom right and centre of the image, then the same five of
        its mirror image.
    """
    resized = resize_short_side(image, short_side)
    framed = F.center_crop(resized, [max(resized.height, crop), max(resized.width, crop)])
    return torch.stack([F.pil_to_tensor(square) for square in F.ten_crop(framed, [crop, crop])])


def whole_image(image: Image.Image, short_side: int, *, flip: bool = False) -> Tensor:
    """All of an RGB image at one scale, uint8 (1, 3, H, W); with ``flip`` its mirror image too, (2, 3, H, W).

    Args:
        image: of any size.
        short_side: the shorter side that it is resized to, pixels; 0: not resized. The longer side is cut to whole pixels.
        flip: add the mirror image.
    """
    pixels: Tensor = F.pil_to_tensor(resize_short_side(image, short_side))
    return torch.stack([pixels, pixels.flip(-1)]) if flip else pixels[None]


@dataclass(frozen=True)
class ViewBatch:
    """The views of several images of one size.

    Attributes:
        scales: for each scale uint8 (N, V, 3, H, W), RGB.
        labels: int64 (N,), 0 … K-1.
    """

    scales: tuple[Tensor, ...]
    labels: Tensor


@dataclass(frozen=True)
class ViewedImages:
    """A data set as a test sees it: what a loader loads. Each image is decoded once for all its views."""

    dataset: ClassificationDataset
    views: Views

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: Sequence[tuple[int, int]]) -> list[ViewBatch]:
        """Load the samples ``(index, draw)``, of which the second is not used: nothing here is random.

        Returns:
            The images in order, neighbours of one size together: one batch for crops, several where whole images differ.

        Raises:
            DataError: naming an image that cannot be read.
        """
        samples = [(self.views(self.dataset.load(index)), self.dataset.label(index)) for index, _ in keys]
        return [_stack(list(alike)) for _, alike in groupby(samples, key=lambda sample: [scale.shape for scale in sample[0]])]


def _stack(samples: Sequence[tuple[list[Tensor], int]]) -> ViewBatch:
    images, labels = zip(*samples, strict=True)
    return ViewBatch(tuple(torch.stack(scale) for scale in zip(*images, strict=True)), torch.tensor(labels, dtype=torch.int64))
