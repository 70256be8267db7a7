"""Writes the result files of a localizer: its boxes, a table of the classes, pictures of hits and misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from resdet.evaluation.localization import Guesses, Localization
from resdet.files import write_csv, write_json
from resdet.ops.boxes import scale_boxes
from resdet.report.sheet import GAP, INK, PAPER, fitted
from resdet.structures.drawing import Color, caption_size, draw_boxes

_COLUMNS = (  # the columns of per_class
    "images",
    "top1_loc_error",
    "top5_loc_error",
    "gt_class_loc_error",
    "top1_error",
    "top5_error",
    "mean_iou",
)
_TRUE: Color = (60, 200, 90)
_FOUND: Color = (255, 190, 30)


class Picture(NamedTuple):
    """One picture of a gallery.

    Attributes:
        image: the original picture.
        boxes: (B, 4), the objects of its class, pixels.
        found: (F, 4), the boxes shown, pixels.
        text: the text below the picture.
    """

    image: Image.Image
    boxes: Tensor
    found: Tensor
    text: str


def write_per_class(path: str | Path, metrics: Mapping[str, Any]) -> None:
    """Write "per_class" of ``localization_metrics`` as CSV, one row for each class, atomically; missing values are empty."""
    rows = ([name, *(row[column] for column in _COLUMNS)] for name, row in metrics["per_class"].items())
    write_csv(path, ["class", *_COLUMNS], rows)


def write_localizations(path: str | Path, files: Sequence[str], found: Sequence[Localization], names: Sequence[str]) -> None:
    """Write the output of a localizer as JSON, atomically.

    A list with, for each image, "file", "guesses" (best first, each "class", "box", "probability" and "score"; null where no
    classes were guessed), and "box" and "score" for its own class (null where it was not asked for). Boxes are ``xyxy``,
    continuous pixels.
    """
    rows = [
        {
            "file": file,
            "guesses": None if each.guesses is None else _guess_rows(each.guesses, names),
            "box": None if each.box is None else each.box.tolist(),
            "score": None if each.box is None else each.score,
        }
        for file, each in zip(files, found, strict=True)
    ]
    write_json(path, rows, indent=None)


def _guess_rows(guesses: Guesses, names: Sequence[str]) -> list[dict[str, Any]]:
    unknown = [None] * len(guesses.labels)
    columns = (
        guesses.labels.tolist(),
        guesses.boxes.tolist(),
        unknown if guesses.probabilities is None else guesses.probabilities.tolist(),
        unknown if guesses.scores is None else guesses.scores.tolist(),
    )
    return [
        {"class": names[label], "box": box, "probability": probability, "score": score}
        for label, box, probability, score in zip(*columns, strict=True)
    ]


def spread(indices: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of ``indices``, spread as evenly as possible over their order."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    return [indices[place] for place in places.tolist()]


def gallery(parts: Mapping[str, Sequence[Picture]], *, columns: int = 4, cell: int = 300) -> Image.Image:
    """Pictures in rows below the titles of their parts; true boxes are green, those found are yellow.

    Args:
        parts: title -> pictures; a part without pictures is left out.
        columns: the number of pictures in a row.
        cell: the length of the longer side of a picture, pixels.

    Raises:
        ValueError: when there is no picture.
    """
    shown = {title: list(pictures) for title, pictures in parts.items() if pictures}
    if not shown:
        raise ValueError("gallery needs a picture")
    size = caption_size(cell, cell) + 2
    font, line = ImageFont.load_default(size), round(1.6 * size)
    step = cell + line + GAP
    rows = {title: -(-len(pictures) // columns) for title, pictures in shown.items()}
    sheet = Image.new("RGB", (columns * (cell + GAP) + GAP, sum(2 * line + count * step for count in rows.values())), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = 0
    for title, pictures in shown.items():
        draw.text((GAP, y + line), title, fill=INK, font=font, anchor="lm")
        y += 2 * line
        for place, picture in enumerate(pictures):
            left, top = GAP + place % columns * (cell + GAP), y + place // columns * step
            panel = _panel(picture, cell)
            sheet.paste(panel, (left + (cell - panel.width) // 2, top + (cell - panel.height) // 2))
            text = _shortened(picture.text, cell, font)
            draw.text((left + cell / 2, top + cell + line / 2), text, fill=INK, font=font, anchor="mm")
        y += rows[title] * step
    return sheet


def _panel(picture: Picture, cell: int) -> Image.Image:
    image = fitted(picture.image, cell)
    boxes = torch.cat([picture.found.float(), picture.boxes.float()])
    boxes = scale_boxes(boxes, (picture.image.height, picture.image.width), (image.height, image.width))
    colors = [_FOUND] * len(picture.found) + [_TRUE] * len(picture.boxes)
    return draw_boxes(image, boxes, [""] * len(boxes), colors, 20)


def _shortened(text: str, width: int, font: Any) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
