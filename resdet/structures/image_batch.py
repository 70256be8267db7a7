"""Images of different sizes as one padded tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from resdet.structures.moving import moved
from resdet.structures.pixels import PixelConvention


@dataclass(frozen=True)
class ImageBatch:
    """A batch of normalized images, padded with zeros at the right and the bottom.

    Attributes:
        tensor: float32 (N, 3, H, W), the network's input.
        sizes: the true (height, width) of each image inside the padded tensor, in pixels.
    """

    tensor: Tensor
    sizes: list[tuple[int, int]]

    @classmethod
    def from_images(
        cls, images: Sequence[Tensor], pixels: PixelConvention, device: object = None, least: tuple[int, int] = (0, 0)
    ) -> ImageBatch:
        """Move RGB uint8 images (3, H_i, W_i) to ``device``, normalize them and pad them to the largest height and width.

        ``least`` is the least (height, width) of the padded tensor.

        Padding comes after normalization, so a padded pixel has the value of the mean image, as the field does it.

        Raises:
            ValueError: when there is no image.
        """
        if not images:
            raise ValueError("ImageBatch needs at least one image, got none")
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        there = [moved(image, device) for image in images]
        height, width = max(least[0], *(h for h, _ in sizes)), max(least[1], *(w for _, w in sizes))
        if set(sizes) == {(height, width)}:  # nothing to pad: all at once
            return cls(pixels.normalize(torch.stack(there)), sizes)
        normalized = [pixels.normalize(image) for image in there]
        tensor = normalized[0].new_zeros(len(images), 3, height, width)
        for slot, image in zip(tensor, normalized, strict=True):
            slot[:, : image.shape[-2], : image.shape[-1]] = image
        return cls(tensor, sizes)
