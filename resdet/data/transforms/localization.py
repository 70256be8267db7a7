"""Training views of localization: a random square and the boxes seen in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, ColorComponents, lighting_noise
from resdet.data.transforms.sizes import resize_short_side
from resdet.errors import DataError
from resdet.ops.boxes import box_area, clip_boxes, mirror_boxes, scale_boxes

_MIN_SEEN = 0.25
_DRAWS = 10


@dataclass(frozen=True)
class LocalizationTrainTransform:
    """A random square of a resized image, flipped or not, with PCA lighting, and what it shows of the boxes.

    The image is treated as a classifier's (paper, section 3.4; appendix C: random 224 x 224 crops). The paper does not say what
    becomes of boxes that a crop cuts; here the part inside is the box, where it is at least a quarter of the largest part
    that any such crop could show, and else there is none. A crop that shows no box is drawn again, up to nine times.

    Attributes:
        crop: side of the square, pixels.
        short_side: (lowest, highest) of the shorter side, drawn uniformly, pixels; empty: not resized.
        hflip: probability of a horizontal flip.
        lighting: standard deviation of the PCA colour noise; 0: none.
        pca: the directions and sizes of the colour noise.
    """

    crop: int
    short_side: tuple[int, ...]
    hflip: float
    lighting: float
    pca: ColorComponents = IMAGENET_COMPONENTS

    def __call__(self, image: Image.Image, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Turn an RGB image and boxes float32 (B, 4) into a uint8 tensor (3, crop, crop) and the boxes in its pixels.

        Raises:
            DataError: when the image is smaller than the crop after resizing.
        """
        size = (image.height, image.width)
        if self.short_side:
            low, high = self.short_side
            image = resize_short_side(image, int(torch.randint(low, high + 1, ())))
            boxes = scale_boxes(boxes, size, (image.height, image.width))
        left, top = self._corner(image)
        seen = seen_boxes(boxes, left, top, self.crop)
        draws = 1
        while len(boxes) and not len(seen) and draws < _DRAWS:
            left, top = self._corner(image)
            seen = seen_boxes(boxes, left, top, self.crop)
            draws += 1
        square = np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))
        if torch.rand(()) < self.hflip:
            square = square[:, ::-1]
            seen = mirror_boxes(seen, self.crop)
        pixels = torch.from_numpy(np.array(square.transpose(2, 0, 1), order="C"))
        return lighting_noise(pixels, self.lighting, self.pca) if self.lighting else pixels, seen

    def _corner(self, image: Image.Image) -> tuple[int, int]:
        width, height = image.size
        if min(height, width) < self.crop:
            raise DataError(f"{width} x {height} pixels are less than the crop of {self.crop}; set data.short_side")
        top = int(torch.randint(height - self.crop + 1, ()))
        return int(torch.randint(width - self.crop + 1, ())), top


def seen_boxes(boxes: Tensor, left: int, top: int, side: int) -> Tensor:
    """What a square window of an image shows of boxes float32 (B, 4) ``xyxy``, in pixels of the window.

    A box is seen when the part inside is at least a quarter of the largest part that a window of this side could show, which is
    less than the box where that is larger.

    Returns:
        float32 (V, 4), V <= B, clipped to the window.
    """
    moved = boxes - boxes.new_tensor([left, top, left, top])
    clipped = clip_boxes(moved, (side, side))
    largest = (boxes[:, 2:] - boxes[:, :2]).clamp(max=side).prod(1)
    # a box outside is clipped to one without area, or to a point
    return clipped[(box_area(clipped) >= _MIN_SEEN * largest) & (largest > 0)]
