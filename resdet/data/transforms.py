"""Images and their boxes, resized, flipped and cropped together (torchvision.transforms.v2).

Resizing is PIL's bilinear filter, which antialiases; that of a ``Photo``, for training alone, is linear interpolation. What is
random draws from torch's global CPU generator, which ``resdet.data.loader`` seeds for every sample; the draws are the same for
a ``Photo``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from resdet.data.augmentation import Augmentation
from resdet.data.lighting import IMAGENET_COMPONENTS, ColorComponents, lighting_noise
from resdet.data.photo import Photo, exact
from resdet.errors import DataError
from resdet.structures import Target
from resdet.structures.boxes import clip_boxes

# logarithms of the least and greatest width over height of a random window, as torchvision rounds them
_SHAPES = tuple(torch.log(torch.tensor([3 / 4, 4 / 3])).tolist())


def resized_size(size: tuple[int, int], short_side: int, max_side: int) -> tuple[int, int]:
    """The (height, width) of an image of ``size`` whose shorter side becomes ``short_side``, the longer at most ``max_side``.

    Rounded half up at the end alone, and scaled in two steps, as Detectron2 does it: one step differs by a pixel where a side
    comes out at a half.
    """
    sides = [short_side if side == min(size) else side * (short_side / min(size)) for side in size]
    if max(sides) > max_side:
        sides = [side * (max_side / max(sides)) for side in sides]
    height, width = (max(1, math.floor(side + 0.5)) for side in sides)
    return height, width


def _by_shorter_side(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """The (height, width) that ``resize_short_side`` gives an image of ``size``."""
    height, width = (int(short_side * side / min(size)) for side in size)
    return height, width


def resize_short_side(image: Image.Image, short_side: int) -> Image.Image:
    """The image with its shorter side brought to ``short_side`` pixels, the longer cut to whole ones; 0: as it is."""
    resized: Image.Image = F.resize(image, [short_side], InterpolationMode.BILINEAR) if short_side else image
    return resized


def random_area(size: tuple[int, int], area: tuple[float, float]) -> tuple[int, int, int, int]:
    """A window ``xyxy`` of an image of ``size`` (height, width), pixels: of a random share of its area, and a random shape.

    The draws are torchvision's (``RandomResizedCrop``), and so is the choice after ten that fit into no place: the central
    window of a shape between 3/4 and 4/3. Source: Szegedy et al., Going deeper with convolutions, section 6.

    Args:
        size: of the image.
        area: least and greatest share.
    """
    height, width = size
    for _ in range(10):
        pixels = height * width * torch.empty(1).uniform_(*area).item()
        shape = torch.empty(1).uniform_(*_SHAPES).exp().item()
        w, h = round(math.sqrt(pixels * shape)), round(math.sqrt(pixels / shape))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(torch.randint(height - h + 1, (1,))), int(torch.randint(width - w + 1, (1,)))
            return left, top, left + w, top + h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width / (3 / 4)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


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
        return _to_tensor(resized), *_with_boxes(target, boxes)

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
        return _to_tensor(image), *_with_boxes(target, boxes)


@dataclass(frozen=True)
class ClassificationTrainTransform:
    """A training view: a random square, flipped or not, with PCA lighting.

    Attributes:
        crop: side of the square, pixels.
        short_side: (lowest, highest) of the shorter side, drawn uniformly, pixels; empty: not resized.
        pad: zeros around the image before the crop, pixels.
        hflip: probability of a horizontal flip.
        lighting: standard deviation of the PCA colour noise; 0: none.
        crop_from: "short_side": a window of the resized and padded image (paper, section 3.4); "area": a window of a random
            ``area`` and an aspect ratio of 3/4 … 4/3, resized to the square, and ``short_side`` is not used.
        area: least and greatest share of the padded image's area, in (0, 1].
        pca: the directions and sizes of the colour noise.
    """

    crop: int
    short_side: tuple[int, ...]
    pad: int
    hflip: float
    lighting: float
    crop_from: str = field(default="short_side", kw_only=True)
    area: tuple[float, float] = field(default=(0.08, 1.0), kw_only=True)
    pca: ColorComponents = field(default=IMAGENET_COMPONENTS, kw_only=True)

    def __call__(self, image: Image.Image | Photo) -> Tensor:
        """Turn an RGB image into a uint8 tensor (3, crop, crop).

        Raises:
            DataError: when the image is smaller than the crop after resizing and padding; not with ``crop_from`` "area". Of a
                photo, also when it cannot be decoded.
        """
        if self.pad:
            image = exact(image)
        square = self._by_area(image) if self.crop_from == "area" else self._by_short_side(image)
        if torch.rand(()) < self.hflip:
            square = np.asarray(cv2.flip(square, 1), dtype=np.uint8)
        planes = np.empty((3, self.crop, self.crop), dtype=np.uint8)
        cv2.split(square, list(planes))  # into them, four times sooner than numpy copies a transposed array
        pixels = torch.from_numpy(planes)
        return lighting_noise(pixels, self.lighting, self.pca) if self.lighting else pixels

    def _by_area(self, image: Image.Image | Photo) -> NDArray[np.uint8]:
        left, top, right, bottom = random_area((image.height + 2 * self.pad, image.width + 2 * self.pad), self.area)
        size = (self.crop, self.crop)
        if isinstance(image, Photo):
            return image.window((left, top, right, bottom), size)
        # PIL gives zeros outside of an image
        window = image.crop((left - self.pad, top - self.pad, right - self.pad, bottom - self.pad))
        return np.asarray(F.resize(window, list(size), InterpolationMode.BILINEAR))

    def _by_short_side(self, image: Image.Image | Photo) -> NDArray[np.uint8]:
        height, width = image.height, image.width
        if self.short_side:
            low, high = self.short_side
            short_side = int(torch.randint(low, high + 1, ()))
            height, width = _by_shorter_side((height, width), short_side)
            if not isinstance(image, Photo):
                image = resize_short_side(image, short_side)
        padded_height, padded_width = height + 2 * self.pad, width + 2 * self.pad
        if min(padded_height, padded_width) < self.crop:
            raise DataError(
                f"{padded_width} x {padded_height} pixels are less than the crop of {self.crop}; set data.short_side"
            )
        top = int(torch.randint(padded_height - self.crop + 1, ())) - self.pad
        left = int(torch.randint(padded_width - self.crop + 1, ())) - self.pad
        if not isinstance(image, Photo):
            return np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))
        x, y = image.width / width, image.height / height
        return image.window((left * x, top * y, (left + self.crop) * x, (top + self.crop) * y), (self.crop, self.crop))


@dataclass(frozen=True)
class ClassificationTestTransform:
    """Shorter side brought to ``short_side`` (pixels; 0: not resized), then the central square of side ``crop``.

    The longer side is cut to whole pixels and the corner rounded half to even, as torchvision does: published errors are
    measured so.
    """

    short_side: int
    crop: int

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn an RGB image into a uint8 tensor (3, crop, crop); a smaller image gets a black frame."""
        image = resize_short_side(image, self.short_side)
        return _to_tensor(F.center_crop(image, [self.crop, self.crop]))


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


def _to_tensor(image: Image.Image) -> Tensor:
    tensor: Tensor = F.pil_to_tensor(image)
    return tensor


def _with_boxes(target: Target, boxes: tv_tensors.BoundingBoxes) -> tuple[Target, Tensor]:
    """The reverse of ``_boxes``: the target of the changed image, and its proposals without those that are empty."""
    height, width = boxes.canvas_size
    rows = boxes.as_subclass(Tensor)
    objects, proposals = rows[: len(target)], rows[len(target) :]
    return replace(target, boxes=objects, size=(height, width)), proposals[(proposals[:, 2:] > proposals[:, :2]).all(1)]
