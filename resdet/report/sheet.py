"""The common parts of sheets of pictures, for detections and for localizations."""

from __future__ import annotations

from PIL import Image

from resdet.structures.drawing import Color

GAP = 8  # pixels between pictures, and around them
PAPER: Color = (255, 255, 255)
INK: Color = (40, 40, 40)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """A picture as RGB, resized so that its longer side is ``side`` pixels; later drawings on it stay sharp."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
