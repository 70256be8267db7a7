"""Draws boxes with captions on pictures, readable at any size."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Color = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]

_AVOIDED = 1000  # captions, the first ones, that the others do not cover where they can: of more there is no room for
_GOLDEN_ANGLE = 0.381966  # share of a full turn; with it, any number of successive hues are well apart


def class_color(label: int) -> Color:
    """The colour (R, G, B), 0 … 255, of a label 0, 1, …. It never changes; neighbours differ much, and none is near grey."""
    hue = (0.02 + label * _GOLDEN_ANGLE) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.9, 0.65)[label // 8 % 2], (1.0, 0.8)[label // 4 % 2])
    return round(255 * red), round(255 * green), round(255 * blue)


def caption_size(width: int, height: int) -> int:
    """Height of the captions' letters, pixels, for a picture of this size: legible when it fills a screen or a page."""
    return round(min(max(11, min(width, height) / 32), 48))


def draw_boxes(
    image: Image.Image,
    boxes: Tensor | npt.ArrayLike,
    captions: Sequence[str],
    colors: Sequence[Color],
    text_size: int | None = None,
) -> Image.Image:
    """Draw boxes and captions on a copy of a picture.

    The first box is drawn last, so with the best detection first the best is on top. A caption stands above its box, or
    inside it or below where there is no room or another caption; it never leaves the picture unless it is wider.

    Args:
        image: any mode; the copy is RGB.
        boxes: (N, 4) ``xyxy``, pixels of the picture.
        captions: N texts; an empty one is not drawn.
        colors: N colours (R, G, B), 0 … 255.
        text_size: height of the letters, pixels; ``caption_size`` when it is not given.

    Raises:
        ValueError: when the lengths differ.
    """
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).tolist()
    if not len(rows) == len(captions) == len(colors):
        counts = f"{len(rows)}, {len(captions)} and {len(colors)}"
        raise ValueError(f"draw_boxes needs as many boxes, captions and colors, got {counts}")
    picture = image.convert("RGB") if image.mode != "RGB" else image.copy()
    size = text_size or caption_size(*picture.size)
    font = ImageFont.load_default(size)
    line = max(1, round(size / 8))
    draw = ImageDraw.Draw(picture)
    for (x1, y1, x2, y2), color in reversed(list(zip(rows, colors, strict=True))):
        # a dark rim keeps the line visible on a background of its own colour
        draw.rectangle(_ordered(x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=(0, 0, 0), width=line + 2)
        draw.rectangle(_ordered(x1, y1, x2, y2), outline=color, width=line)
    taken = np.empty((0, 4))
    labels = []
    for row, caption, color in zip(rows, captions, colors, strict=True):
        if caption:
            text = font.getbbox(caption)
            place = _place(row, text[2] + 4, size + 4, picture.size, taken)
            taken = np.vstack([taken, place]) if len(taken) < _AVOIDED else taken
            labels.append((place, caption, color))
    for place, caption, color in reversed(labels):
        draw.rectangle(place, fill=color)
        # letters are placed by their baseline, so that those with and without descenders are on one line
        draw.text((place[0] + 2, place[3] - 2 - size * 0.2), caption, fill=_ink(color), font=font, anchor="ls")
    return picture


def _ordered(x1: float, y1: float, x2: float, y2: float) -> Rectangle:
    """Put the corners in order, because those of a box narrower than its line would be swapped."""
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _place(
    box: Sequence[float], width: float, height: float, size: tuple[int, int], taken: npt.NDArray[np.float64]
) -> Rectangle:
    """The place of a caption of ``width`` x ``height`` pixels: the candidate that covers others least, first of equals."""
    x1, y1, x2, y2 = box
    left = max(0.0, min(x1, size[0] - width))
    right = max(0.0, min(x2 - width, size[0] - width))
    candidates = [
        (x, y, x + width, y + height)
        for y, inside in ((y1 - height, False), (y1, True), (y2 - height, True), (y2, False))
        for x in (left, right)
        if 0 <= y <= size[1] - height and (not inside or y2 - y1 > height)
    ] or [(left, max(0.0, min(y1, size[1] - height)), left + width, max(0.0, min(y1, size[1] - height)) + height)]
    return candidates[int(_covered(np.array(candidates), taken).argmin())]


def _covered(places: npt.NDArray[np.float64], taken: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What each of C places has in common with N others, all together, in pixels: (C,)."""
    ends = np.minimum(places[:, None, 2:], taken[:, 2:])
    return np.clip(ends - np.maximum(places[:, None, :2], taken[:, :2]), 0, None).prod(-1).sum(-1)


def _ink(color: Color) -> Color:
    """Black or white, whichever is easier to read on ``color``."""
    red, green, blue = color
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
