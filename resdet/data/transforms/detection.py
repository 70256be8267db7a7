"""Images and their boxes, resized and flipped together (torchvision.transforms.v2).

What is random draws from torch's global CPU generator, which the views of ``resdet.data.loading`` seed for every
sample; the draws are the same for a ``Photo``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from resdet.data.images.photo import Photo, exact
from resdet.data.transforms.augmentation import Augmentation
from resdet.data.transforms.sizes import resized_size, to_tensor
from resdet.ops.boxes import clip_boxes
from resdet.structures import Target


@dataclass(frozen=True)
class DetectionTrainTransform:
    """A training view: augmented, resized, flipped or not.

    Attributes:
        short_sides: what the shorter side is drawn from, pixels.
        max_side: the longer side at most, pixels.
        hflip: probability of a horizontal flip.
        between: draw the shorter side from all whole numbers between the least and the greatest of ``short_sides``.
        augmentation: further transforms, before resizing.
    """

    short_sides: tuple[int, ...]
    max_side: int
    hflip: float
    between: bool = field(default=False, kw_only=True)
    augmentation: Augmentation = field(default=Augmentation(), kw_only=True)

    def __call__(self, image: Image.Image, target: Target) -> tuple[Tensor, Target]:
        """Turn an RGB image and its target into a uint8 tensor (3, H, W) and the target of that tensor."""
        tensor, target, _ = self.with_proposals(image, target, torch.zeros(0, 4))
        return tensor, target

    def with_proposals(self, image: Image.Image | Photo, target: Target, proposals: Tensor) -> tuple[Tensor, Target, Tensor]:
        """The same with proposals float32 (R, 4) ``xyxy``, which move with the image; what is left of them inside it is kept.

        Raises:
            DataError: naming an image that the augmentation cannot be applied to, or a photo that cannot be decoded.
        """
        if self.augmentation.transforms:
            image, target, proposals = self.augmentation(exact(image), target, proposals)
        size = resized_size(target.size, self._short_side(), self.max_side)
        resized, boxes = _resize(image, _boxes(target, proposals), size)
        if torch.rand(()) < self.hflip:
            resized, boxes = F.horizontal_flip(resized), F.horizontal_flip(boxes)
        return to_tensor(resized), *_with_boxes(target, boxes)

    def _short_side(self) -> int:
        if self.between:
            return int(torch.randint(min(self.short_sides), max(self.short_sides) + 1, ()))
        return self.short_sides[int(torch.randint(len(self.short_sides), ()))]


@dataclass(frozen=True)
class DetectionTestTransform:
    """Shorter side brought to ``short_side`` (pixels), longer at most ``max_side``."""

    short_side: int
    max_side: int

    def __call__(self, image: Image.Image, target: Target) -> tuple[Tensor, Target]:
        """Turn an RGB image and its target into a uint8 tensor (3, H, W) and the target of that tensor."""
        tensor, target, _ = self.with_proposals(image, target, torch.zeros(0, 4))
        return tensor, target

    def with_proposals(self, image: Image.Image, target: Target, proposals: Tensor) -> tuple[Tensor, Target, Tensor]:
        """The same with proposals float32 (R, 4) ``xyxy``; what is left of them inside the image is kept."""
        size = resized_size(target.size, self.short_side, self.max_side)
        image, boxes = _resize(image, _boxes(target, proposals), size)
        return to_tensor(image), *_with_boxes(target, boxes)


def _boxes(target: Target, proposals: Tensor) -> tv_tensors.BoundingBoxes:
    """The objects' boxes, and below them the proposals'."""
    boxes = torch.cat([target.boxes, clip_boxes(proposals, target.size)])
    return tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=target.size)


def _resize(
    image: Image.Image | Photo, boxes: tv_tensors.BoundingBoxes, size: tuple[int, int]
) -> tuple[Image.Image, tv_tensors.BoundingBoxes]:
    if isinstance(image, Photo):
        resized = Image.fromarray(image.window((0, 0, image.width, image.height), size))
    elif size == (image.height, image.width):
        return image, boxes
    else:
        resized = F.resize(image, list(size), InterpolationMode.BILINEAR)
    return resized, F.resize(boxes, list(size))


def _with_boxes(target: Target, boxes: tv_tensors.BoundingBoxes) -> tuple[Target, Tensor]:
    """The reverse of ``_boxes``: the target of the changed image, and its proposals without those that are empty."""
    height, width = boxes.canvas_size
    rows = boxes.as_subclass(Tensor)
    objects, proposals = rows[: len(target)], rows[len(target) :]
    return replace(target, boxes=objects, size=(height, width)), proposals[(proposals[:, 2:] > proposals[:, :2]).all(1)]
