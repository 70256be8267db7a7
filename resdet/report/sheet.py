"""The common parts of sheets of pictures, for detections and for localizations."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from resdet.structures.drawing import Color, caption_size

GAP = 8  # pixels between pictures, and around them
PAPER: Color = (255, 255, 255)
INK: Color = (40, 40, 40)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """A picture as RGB, resized so that its longer side is ``side`` pixels; later drawings on it stay sharp."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def pair_sheet(lines: Sequence[Sequence[Image.Image]], titles: tuple[str, str], cell: int) -> Image.Image:
    """Lay out pairs of pictures in lines, with a title above each column.

    Args:
        lines: the pictures, left and right in turn; the first line is the longest.
        titles: what is left, and what is right.
        cell: the longer side of the pictures, pixels.
    """
    size = caption_size(cell, cell) + 2
    font = ImageFont.load_default(size)
    head = round(1.6 * size)
    heights = [max(panel.height for panel in line) for line in lines]
    columns = len(lines[0])
    width = columns * (cell + GAP) + GAP
    sheet = Image.new("RGB", (width, head + sum(height + GAP for height in heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        x = GAP + column * (cell + GAP)
        draw.text((x + cell / 2, head / 2), titles[column % 2], fill=INK, font=font, anchor="mm")
    y = head
    for line, height in zip(lines, heights, strict=True):
        for column, panel in enumerate(line):
            sheet.paste(panel, (GAP + column * (cell + GAP) + (cell - panel.width) // 2, y + (height - panel.height) // 2))
        y += height + GAP
    return sheet
