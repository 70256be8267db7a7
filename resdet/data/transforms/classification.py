"""Squares of images for classifiers: a random one in training, the central one at test time.

What is random draws from torch's global CPU generator, which the views of ``resdet.data.loading`` seed for every
sample; the draws are the same for a ``Photo``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from resdet.data.images.photo import Photo, exact
from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, ColorComponents, lighting_noise
from resdet.data.transforms.sizes import random_area, resize_short_side, size_by_short_side, to_tensor
from resdet.errors import DataError


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
        transforms: further ones, one after the other, from uint8 (3, crop, crop) to the same, before the colour noise.
    """

    crop: int
    short_side: tuple[int, ...]
    pad: int
    hflip: float
    lighting: float
    crop_from: str = field(default="short_side", kw_only=True)
    area: tuple[float, float] = field(default=(0.08, 1.0), kw_only=True)
    pca: ColorComponents = field(default=IMAGENET_COMPONENTS, kw_only=True)
    transforms: tuple[Callable[[Tensor], Tensor], ...] = field(default=(), kw_only=True)

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
        for transform in self.transforms:
            pixels = transform(pixels)
        return lighting_noise(pixels, self.lighting, self.pca) if self.lighting else pixels

    def _by_area(self, image: Image.Image | Photo) -> NDArray[np.uint8]:
        left, top, right, bottom = random_area((image.height + 2 * self.pad, image.width + 2 * self.pad), self.area)
        size = (self.crop, self.crop)
        if isinstance(image, Photo):
            return image.window((left, top, right, bottom), size)
        # PIL fills the part outside of an image with zeros
        window = image.crop((left - self.pad, top - self.pad, right - self.pad, bottom - self.pad))
        return np.asarray(F.resize(window, list(size), InterpolationMode.BILINEAR))

    def _by_short_side(self, image: Image.Image | Photo) -> NDArray[np.uint8]:
        height, width = image.height, image.width
        if self.short_side:
            low, high = self.short_side
            short_side = int(torch.randint(low, high + 1, ()))
            height, width = size_by_short_side((height, width), short_side)
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
        return to_tensor(F.center_crop(image, [self.crop, self.crop]))
