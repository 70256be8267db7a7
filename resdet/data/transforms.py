"""Images and their boxes, resized, flipped and cropped together (torchvision.transforms.v2).

Resizing is PIL's bilinear filter, which antialiases. What is random draws from torch's global CPU generator, which
``resdet.data.loader`` seeds for every sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from resdet.errors import DataError
from resdet.structures import Target

# colour statistics of ImageNet, RGB in [0, 1] (AlexNet's noise); the eigenvectors are the columns
_EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
_EIGENVECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def resized_size(size: tuple[int, int], short_side: int, max_side: int) -> tuple[int, int]:
    """The (height, width) of an image of ``size`` whose shorter side becomes ``short_side``, the longer at most ``max_side``.

    One scale for both sides, rounded half up, as Detectron and its successors do it.
    """
    scale = min(short_side / min(size), max_side / max(size))
    height, width = (max(1, math.floor(side * scale + 0.5)) for side in size)
    return height, width


@dataclass(frozen=True)
class DetectionTrainTransform:
    """Shorter side drawn from ``short_sides`` (pixels), longer at most ``max_side``; flipped with probability ``hflip``."""

    short_sides: tuple[int, ...]
    max_side: int
    hflip: float

    def __call__(self, image: Image.Image, target: Target) -> tuple[Tensor, Target]:
        """Turn an RGB image and its target into a uint8 tensor (3, H, W) and the target of that tensor."""
        short_side = self.short_sides[int(torch.randint(len(self.short_sides), ()))]
        boxes = _boxes(target)
        image, boxes = _resize(image, boxes, resized_size(target.size, short_side, self.max_side))
        if torch.rand(()) < self.hflip:
            image, boxes = F.horizontal_flip(image), F.horizontal_flip(boxes)
        return _to_tensor(image), _with_boxes(target, boxes)


@dataclass(frozen=True)
class DetectionTestTransform:
    """Shorter side brought to ``short_side`` (pixels), longer at most ``max_side``."""

    short_side: int
    max_side: int

    def __call__(self, image: Image.Image, target: Target) -> tuple[Tensor, Target]:
        """Turn an RGB image and its target into a uint8 tensor (3, H, W) and the target of that tensor."""
        image, boxes = _resize(image, _boxes(target), resized_size(target.size, self.short_side, self.max_side))
        return _to_tensor(image), _with_boxes(target, boxes)


@dataclass(frozen=True)
class ClassificationTrainTransform:
    """The paper's training view: resize, pad, random crop, flip, PCA lighting.

    Attributes:
        crop: side of the square, pixels.
        short_side: (lowest, highest) of the shorter side, drawn uniformly, pixels; empty: not resized.
        pad: zeros around the image before the crop, pixels.
        hflip: probability of a horizontal flip.
        lighting: standard deviation of the PCA colour noise; 0: none.
    """

    crop: int
    short_side: tuple[int, ...]
    pad: int
    hflip: float
    lighting: float

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn an RGB image into a uint8 tensor (3, crop, crop).

        Raises:
            DataError: when the image is smaller than the crop after resizing and padding.
        """
        if self.short_side:
            low, high = self.short_side
            image = F.resize(image, [int(torch.randint(low, high + 1, ()))], InterpolationMode.BILINEAR)
        pixels = _to_tensor(image)
        if self.pad:
            pixels = F.pad(pixels, [self.pad])
        height, width = pixels.shape[1:]
        if min(height, width) < self.crop:
            raise DataError(f"{width} x {height} pixels are less than the crop of {self.crop}; set data.short_side")
        top = int(torch.randint(height - self.crop + 1, ()))
        left = int(torch.randint(width - self.crop + 1, ()))
        pixels = pixels[:, top : top + self.crop, left : left + self.crop]
        if torch.rand(()) < self.hflip:
            pixels = pixels.flip(-1)
        return lighting_noise(pixels, self.lighting) if self.lighting else pixels.contiguous()


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
        if self.short_side:
            image = F.resize(image, [self.short_side], InterpolationMode.BILINEAR)
        return _to_tensor(F.center_crop(image, [self.crop, self.crop]))


def lighting_noise(pixels: Tensor, std: float) -> Tensor:
    """AlexNet's PCA colour noise on a uint8 image (3, H, W).

    To every pixel, in [0, 1], sum_j eigenvector_j * alpha_j * eigenvalue_j is added with alpha_j ~ N(0, std). The result is
    rounded and clamped back to uint8, so that an image stays an image for every pixel convention. Source: paper, section 3.4.
    """
    shift = _EIGENVECTORS @ (torch.randn(3) * std * _EIGENVALUES) * 255
    return (pixels + shift.view(3, 1, 1)).round_().clamp_(0, 255).to(torch.uint8)


def _boxes(target: Target) -> tv_tensors.BoundingBoxes:
    return tv_tensors.BoundingBoxes(target.boxes, format="XYXY", canvas_size=target.size)


def _resize(
    image: Image.Image, boxes: tv_tensors.BoundingBoxes, size: tuple[int, int]
) -> tuple[Image.Image, tv_tensors.BoundingBoxes]:
    if size == (image.height, image.width):
        return image, boxes
    return F.resize(image, list(size), InterpolationMode.BILINEAR), F.resize(boxes, list(size))


def _to_tensor(image: Image.Image) -> Tensor:
    tensor: Tensor = F.pil_to_tensor(image)
    return tensor


def _with_boxes(target: Target, boxes: tv_tensors.BoundingBoxes) -> Target:
    height, width = boxes.canvas_size
    return replace(target, boxes=boxes.as_subclass(Tensor), size=(height, width))
