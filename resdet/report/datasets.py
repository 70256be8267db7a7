"""Describes a detection data set as text: its images, its classes, and how well anchors fit its objects."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.finding import owners
from resdet.data.inspection.anchors import Scale, recall, resized_boxes, suggested_anchors, trained_rows
from resdet.data.inspection.classes import object_counts
from resdet.data.transforms.sizes import resized_size

_SHARES = (0, 0.05, 0.5, 0.95, 1)
_HEADER = ("class", "objects", "images", "side", "resized", "recall 0.5", "recall 0.7")


class DatasetTable(NamedTuple):
    """A table: the names of its columns and its rows, all as they are printed."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def dataset_text(tables: Sequence[DatasetTable]) -> str:
    """The tables below each other; no newline at the end."""
    return "\n\n".join(_table(*table) for table in tables)


def dataset_values(tables: Sequence[DatasetTable]) -> dict[str, list[dict[str, Any]]]:
    """The tables for programs, by the name of their first column: a list of rows, with numbers as they are printed."""
    return {table.header[0]: [dict(zip(table.header, map(_value, row), strict=True)) for row in table.rows] for table in tables}


def _value(cell: str) -> float | str | None:
    if cell == "-":
        return None
    with contextlib.suppress(ValueError):
        return float(cell)
    return cell


def dataset_tables(dataset: DetectionDataset, scale: Scale) -> list[DatasetTable]:
    """Tables of a data set's images and classes, and what anchors would suit its objects.

    Args:
        dataset: the data set.
        scale: how large a network sees the images, and with which anchors.
    """
    resized = np.array([resized_size(dataset.size(index), scale.short_side, scale.max_side) for index in range(len(dataset))])
    objects = np.diff(dataset.offsets)
    rows = [
        _spread("width", dataset.sizes[:, 1]),
        _spread("height", dataset.sizes[:, 0]),
        _spread("width / height", dataset.sizes[:, 1] / dataset.sizes[:, 0], 2),
        _spread("resized width", resized[:, 1]),
        _spread("resized height", resized[:, 0]),
        _spread("objects an image", objects),
    ]
    images = DatasetTable(["images", "least", "5 %", "median", "95 %", "most"], rows)
    boxes = resized_boxes(dataset, scale)
    return [images, _classes(dataset, boxes, scale), *_anchors(boxes, scale)]


def _classes(dataset: DetectionDataset, boxes: NDArray[np.float64], scale: Scale) -> DatasetTable:
    used = trained_rows(dataset)
    labels, images = dataset.labels[used], owners(dataset)[used]
    sides = np.sqrt(np.clip(dataset.boxes[used, 2:], 0, None).prod(1))
    counts = object_counts(dataset)
    lines = []
    for label in (None, *np.argsort(-counts, kind="stable").tolist()):
        own = np.ones(len(labels), bool) if label is None else labels == label
        count = counts.sum() if label is None else counts[label]
        name = "all" if label is None else dataset.names[label]
        numbers = [_number(np.median(side)) if own.any() else "-" for side in (sides[own], np.sqrt(boxes[own, 2:].prod(1)))]
        reached = [f"{recall(boxes[own], scale.sizes, scale.ratios, iou):.3f}" if own.any() else "-" for iou in (0.5, 0.7)]
        lines.append([name, str(count), str(len(np.unique(images[own]))), *numbers, *reached])
    return DatasetTable(_HEADER, lines)


def _anchors(boxes: NDArray[np.float64], scale: Scale) -> list[DatasetTable]:
    """A table of the configured anchors and of those that suit the objects; [] without objects."""
    if not len(boxes):
        return []
    suggested = suggested_anchors(boxes, len(scale.sizes), len(scale.ratios))
    lines = [
        [name, *(f"{recall(boxes, sizes, ratios, iou):.3f}" for iou in (0.5, 0.7)), _list(sizes), _list(ratios)]
        for name, (sizes, ratios) in (("configured", (scale.sizes, scale.ratios)), ("clusters of the objects", suggested))
    ]
    return [DatasetTable(["anchors", "recall 0.5", "recall 0.7", "model.anchors.sizes", "model.anchors.ratios"], lines)]


def _spread(name: str, values: NDArray[np.generic], digits: int = 0) -> list[str]:
    return [name, *(f"{value:.{digits}f}" for value in np.quantile(values.astype(np.float64), _SHARES))]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _list(values: Sequence[float]) -> str:
    return f"[{','.join(f'{value:g}' for value in values)}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of columns; first cells align left, others right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )
