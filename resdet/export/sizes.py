"""Sizes of pictures in a graph: ``resdet.data.transforms.sizes`` as nodes."""

from __future__ import annotations

import numpy as np

from resdet.export.graph import Graph, Value


def add_picture_size(graph: Graph, images: Value) -> Value:
    """The (height, width) of bytes (N, H, W, 3), int64 (2,)."""
    return graph.sides(images, 1, 3)


def add_detection_size(graph: Graph, size: Value, short_side: int, max_side: int) -> Value:
    """``resized_size``: int64 (2,) of int64 (2,)."""
    sides = graph.cast(size, np.float64)
    shortest = graph.add("ReduceMin", sides, keepdims=1)
    scaled = graph.add("Mul", sides, graph.add("Div", _float64(short_side), shortest))
    scaled = graph.add("Where", graph.add("Equal", sides, shortest), _float64(short_side), scaled)
    longest = graph.add("ReduceMax", scaled, keepdims=1)
    limited = graph.add("Mul", scaled, graph.add("Div", _float64(max_side), longest))
    scaled = graph.add("Where", graph.add("Greater", longest, _float64(max_side)), limited, scaled)
    rounded = graph.cast(graph.add("Floor", graph.add("Add", scaled, _float64(0.5))), np.int64)
    return graph.add("Max", rounded, [1])


def add_short_side_size(graph: Graph, size: Value, short_side: int) -> Value:
    """``size_by_short_side``: int64 (2,) of int64 (2,)."""
    return graph.add("Div", graph.add("Mul", size, [short_side]), graph.add("ReduceMin", size, keepdims=1))


def add_scale(graph: Graph, source: Value, target: Value) -> Value:
    """What brings boxes from a picture of one size to another one, ``[x, y, x, y]``, float32 (4,)."""
    factors = graph.add("Div", graph.cast(target, np.float64), graph.cast(source, np.float64))
    return graph.cast(graph.add("Gather", factors, [1, 0, 1, 0]), np.float32)


def _float64(number: float) -> np.ndarray:
    return np.array([number], np.float64)
