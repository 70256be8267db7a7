"""Draws ground truth and detections, in single pictures and on a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from PIL import Image

from resdet.ops.boxes import scale_boxes
from resdet.report.sheet import GAP, fitted, pair_sheet
from resdet.structures import Detections, Target
from resdet.structures.drawing import Color, caption_size, class_color, draw_boxes

_IGNORED: Color = (150, 150, 150)


class Sample(NamedTuple):
    """One picture of a contact sheet.

    Attributes:
        image: the original picture.
        target: its ground truth, boxes in pixels of the original.
        detections: the detections, boxes in pixels of the original.
        names: the class names, by label.
    """

    image: Image.Image
    target: Target
    detections: Detections
    names: Sequence[str]


def draw_target(image: Image.Image, target: Target, names: Sequence[str], text_size: int | None = None) -> Image.Image:
    """Draw the ground truth of a picture of any size; ignored objects (crowds, difficult ones) are grey."""
    labels, ignore = target.labels.tolist(), target.ignore.tolist()
    captions = [names[label] + (" (ignored)" if skip else "") for label, skip in zip(labels, ignore, strict=True)]
    colors = [_IGNORED if skip else class_color(label) for label, skip in zip(labels, ignore, strict=True)]
    boxes = scale_boxes(target.boxes.cpu(), target.size, (image.height, image.width))
    return draw_boxes(image, boxes, captions, colors, text_size)


def contact_sheet(
    samples: Sequence[Sample], *, rows: int = 4, max_width: int = 1600, score: float = 0.5, columns: int = 2
) -> Image.Image:
    """Lay out pictures in pairs, with the ground truth on the left and the detections on the right.

    Args:
        samples: the first ``rows * columns`` are shown.
        rows: the largest number of pairs below each other.
        max_width: the largest width of the sheet, pixels.
        score: detections with a lower score are left out.
        columns: the largest number of pairs beside each other.

    Raises:
        ValueError: when there is no sample, or the numbers leave no room for a picture.
    """
    columns = min(columns, len(samples))
    cell = (max_width - GAP * (2 * columns + 1)) // (2 * columns) if columns else 0
    if rows < 1 or cell < 32:
        raise ValueError(f"contact_sheet needs samples, rows and 80 pixels for a pair, got {len(samples)}, {rows}, {max_width}")
    shown = samples[: rows * columns]
    lines = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    panels = [[panel for sample in line for panel in _pair(sample, cell, score)] for line in lines]
    return pair_sheet(panels, ("ground truth", f"detections (score >= {score:g})"), cell)


def _pair(sample: Sample, cell: int, score: float) -> tuple[Image.Image, Image.Image]:
    """Both pictures, ``cell`` pixels wide or high."""
    image, size = fitted(sample.image, cell), caption_size(cell, cell)
    return (
        draw_target(image, sample.target, sample.names, size),
        replace(sample.detections.above(score), names=sample.names).draw(image, size),
    )
