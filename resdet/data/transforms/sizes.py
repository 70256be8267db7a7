"""The sizes that images are brought to, the windows that are cut out of them, and the way to a tensor.

Resizing is PIL's bilinear filter, which antialiases; that of a ``Photo``, for training alone, is linear interpolation.
"""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

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


def size_by_short_side(size: tuple[int, int], short_side: int) -> tuple[int, int]:
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
        size: the (height, width) of the image.
        area: the least and greatest share of the image's area.
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


def to_tensor(image: Image.Image) -> Tensor:
    """The uint8 tensor (3, H, W) of an RGB image."""
    tensor: Tensor = F.pil_to_tensor(image)
    return tensor
