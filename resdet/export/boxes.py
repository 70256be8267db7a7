"""Boxes in a graph: ``resdet.models.detection.box_coder``, ``anchors`` and ``resdet.ops.boxes`` as nodes.

Legend: N images, (H, W) positions of a map, A anchors of an image.
"""

from __future__ import annotations

import numpy as np

from resdet.export.graph import Graph, Value
from resdet.export.layers import as_array
from resdet.models.detection.anchors import AnchorGrid
from resdet.models.detection.box_coder import MAX_LOG_SCALE, BoxCoder

LARGEST = float(np.finfo(np.float32).max)


def add_anchors(graph: Graph, grid: AnchorGrid, features: Value) -> Value:
    """The anchors (A, 4) of maps (N, C, H, W), in the order of ``AnchorGrid``."""
    y, x = (_positions(graph, features, axis, grid.stride) for axis in (2, 3))
    across = graph.add("Mul", x, np.array([1, 0, 1, 0], np.float32))
    down = graph.add("Mul", graph.shaped(y, -1, 1, 1, 1), np.array([0, 1, 0, 1], np.float32))
    shifts = graph.add("Add", across, down)  # (H, W, 1, 4)
    return graph.shaped(graph.add("Add", shifts, as_array(grid.cell)), -1, 4)


def _positions(graph: Graph, features: Value, axis: int, stride: int) -> Value:
    """The pixels of the rows or columns of a map, float32 (length, 1, 1)."""
    length = graph.add("Squeeze", graph.sides(features, axis, axis + 1))
    numbers = graph.cast(graph.add("Range", 0, length, 1), np.float32)
    return graph.shaped(graph.add("Mul", numbers, float(stride)), -1, 1, 1)


def add_decoded(graph: Graph, coder: BoxCoder, deltas: Value, references: Value) -> Value:
    """``BoxCoder.decode``: deltas (..., 4) on references (..., 4), which broadcast."""
    weighted = graph.add("Div", deltas, np.array(coder.box_reg_weights, np.float32))
    shift, scale = graph.add_split("Split", weighted, [2, 2], outputs=2, axis=-1)
    low, high = graph.add_split("Split", references, [2, 2], outputs=2, axis=-1)
    sides = graph.add("Sub", high, low)
    center = graph.add("Add", low, graph.add("Mul", sides, 0.5))
    center = graph.add("Add", graph.add("Mul", shift, sides), center)
    half = graph.add("Mul", graph.add("Mul", graph.add("Exp", graph.add("Min", scale, MAX_LOG_SCALE)), sides), 0.5)
    return graph.add("Concat", graph.add("Sub", center, half), graph.add("Add", center, half), axis=-1)


def add_limits(graph: Graph, sizes: Value) -> Value:
    """Sizes (height, width), int64 (N, 2), as corners ``[W, H, W, H]``, float32 (N, 4)."""
    return graph.cast(graph.add("Gather", sizes, [1, 0, 1, 0], axis=1), np.float32)


def add_whole(graph: Graph, limits: Value) -> Value:
    """The whole images as boxes (..., 4), of their limits (..., 4)."""
    return graph.add("Mul", limits, np.array([0, 0, 1, 1], np.float32))


def add_shorter_side(graph: Graph, boxes: Value) -> Value:
    """The lesser of width and height of boxes (..., 4), (...)."""
    low, high = graph.add_split("Split", boxes, [2, 2], outputs=2, axis=-1)
    return graph.add("ReduceMin", graph.add("Sub", high, low), [-1], keepdims=0)


def add_clipped(graph: Graph, boxes: Value, limits: Value) -> Value:
    """``clip_boxes``: boxes (..., 4) into the limits, which broadcast."""
    return graph.add("Min", graph.add("Max", boxes, 0.0), limits)


def add_finite(graph: Graph, boxes: Value) -> Value:
    """Whether all four numbers of boxes (..., 4) are finite, bool (...)."""
    finite = graph.cast(graph.add("LessOrEqual", graph.add("Abs", boxes), LARGEST), np.float32)
    return graph.cast(graph.add("ReduceMin", finite, [-1], keepdims=0), np.bool_)


def add_least(graph: Graph, number: int, length: Value) -> Value:
    """The lesser of a number and a length, int64 (1,)."""
    return graph.add("Min", [number], length)
