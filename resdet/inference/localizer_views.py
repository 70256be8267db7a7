"""What a localizer sees of an image: the whole of it or its centre, at one or several scales (paper, appendix C)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from resdet.data.transforms.sizes import resize_short_side
from resdet.errors import ConfigError
from resdet.ops.boxes import clip_boxes, scale_boxes

KINDS = ("dense", "center")


@dataclass(frozen=True)
class ImagePart:
    """A part of a resized image.

    Attributes:
        pixels: uint8 RGB (3, H, W).
        corner: (left, top) of the part in the resized image, pixels; negative where it begins outside.
        resized: (height, width) of the resized image.
        original: (height, width) of the image.
    """

    pixels: Tensor
    corner: tuple[int, int]
    resized: tuple[int, int]
    original: tuple[int, int]

    def on_image(self, boxes: Tensor) -> Tensor:
        """Boxes float (..., 4) ``xyxy`` in pixels of the view, clipped to it, in pixels of the image, clipped to that."""
        inside = clip_boxes(boxes, (self.pixels.shape[-2], self.pixels.shape[-1]))
        moved = inside + inside.new_tensor(self.corner * 2)
        return clip_boxes(scale_boxes(moved, self.resized, self.original), self.original)


@dataclass(frozen=True)
class LocalizerViews:
    """Which views are taken of an image.

    Attributes:
        kind: ``"dense"``, all of the image, or ``"center"``, a square in its middle (1-crop).
        short_sides: shorter sides that the image is resized to, pixels; 0: not resized.
        crop: side of the square, pixels; a smaller image gets a black frame.

    Raises:
        ConfigError: from the constructor, with every option out of range.
    """

    kind: str
    short_sides: tuple[int, ...]
    crop: int

    def __post_init__(self) -> None:
        problems = []
        if self.kind not in KINDS:
            problems.append(f"localizer: 'views' must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.short_sides or min(self.short_sides) < 0:
            problems.append(f"localizer: 'short_sides' must be at least one number, each at least 0, got {self.short_sides}")
        if self.crop < 1:
            problems.append(f"localizer: 'crop' must be at least 1, got {self.crop}")
        if problems:
            raise ConfigError(problems)

    def __call__(self, image: Image.Image) -> list[ImagePart]:
        """The views of an RGB image, one for each scale."""
        return [self._at_scale(image, short_side) for short_side in self.short_sides]

    def _at_scale(self, image: Image.Image, short_side: int) -> ImagePart:
        resized, left, top = resize_short_side(image, short_side), 0, 0
        sizes = (resized.height, resized.width), (image.height, image.width)
        if self.kind == "center":
            # half a pixel is rounded as torchvision does it, so that a classifier sees the same square
            left, top = round((resized.width - self.crop) / 2), round((resized.height - self.crop) / 2)
            resized = resized.crop((left, top, left + self.crop, top + self.crop))
        return ImagePart(F.pil_to_tensor(resized), (left, top), *sizes)
