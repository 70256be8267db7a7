"""From RGB bytes to the network's input in a graph: normalizing, and resizing as PIL does it.

Legend: N images, (H, W) their height and width, (h, w) those after resizing.
"""

from __future__ import annotations

import numpy as np

from resdet.export.graph import Graph, Value
from resdet.export.layers import as_array
from resdet.structures import PixelConvention

_BITS = 11  # half of those behind the point of Pillow's weights (its PRECISION_BITS)


def add_normalized(graph: Graph, images: Value, pixels: PixelConvention, mean: np.ndarray | None = None) -> Value:
    """RGB float32 (N, 3, H, W) in 0 … 255 as the network expects it; ``mean`` (3, h, w) replaces the convention's."""
    if pixels.order == "BGR":
        images = graph.add("Gather", images, [2, 1, 0], axis=1)
    if mean is None:
        mean = np.array(pixels.mean, np.float32).reshape(3, 1, 1)
    centred = graph.add("Sub", graph.add("Mul", images, float(pixels.range / 255)), mean)
    return graph.add("Div", centred, np.array(pixels.std, np.float32).reshape(3, 1, 1))


def add_padding(graph: Graph, images: Value, sizes: Value) -> Value:
    """Normalized images (N, 3, H, W) with zeros outside of their sizes, int64 (N, 2)."""
    shape = graph.sides(images, 2, 4)
    height, width = (graph.add("Squeeze", each) for each in graph.add_split("Split", shape, [1, 1], outputs=2, axis=0))
    own_height, own_width = graph.add_split("Split", sizes, [1, 1], outputs=2, axis=1)
    rows = graph.add("Less", graph.add("Range", 0, height, 1), own_height)
    columns = graph.add("Less", graph.add("Range", 0, width, 1), own_width)
    inside = graph.add("And", graph.add("Unsqueeze", rows, [1, 3]), graph.add("Unsqueeze", columns, [1, 2]))
    return graph.add("Where", inside, images, 0.0)


def add_planes(graph: Graph, images: Value) -> Value:
    """Bytes (N, H, W, 3) as float32 planes (N, 3, H, W)."""
    return graph.cast(graph.add("Transpose", images, perm=[0, 3, 1, 2]), np.float32)


def add_resized(graph: Graph, planes: Value, size: Value) -> Value:
    """``PIL.Image.resize(…, BILINEAR)``: planes (N, 3, H, W) of whole numbers to ``size``, int64 (2,).

    Each pixel is a weighted mean along its row, rounded to a whole number, then along its column (Pillow 13 begins with the
    columns where they lose more than twice as many pixels as the rows). As in Pillow's Resample.c the weights are whole numbers
    of 22 bits, and no sum is rounded before its end. ONNX's own operator rounds elsewhere, and OpenVINO leaves out its
    antialiasing.
    """
    height, width = graph.add_split("Split", size, [1, 1], outputs=2, axis=0)
    across = [graph.add("Transpose", half, perm=[1, 0]) for half in _add_weights(graph, graph.sides(planes, 3, 4), width)]
    planes = _add_mean(graph, *(graph.add("MatMul", planes, half) for half in across))
    down = _add_weights(graph, graph.sides(planes, 2, 3), height)
    return _add_mean(graph, *(graph.add("MatMul", half, planes) for half in down))


def _add_weights(graph: Graph, length: Value, resized: Value) -> tuple[Value, Value]:
    """The weights of the pixels along a side, (resized, length): a triangle as wide as a new pixel's two neighbours.

    Whole numbers all the way, because OpenVINO has no float64; they stay below 2^31 for sides that become 15 times shorter.

    Returns:
        The upper and the lower 11 bits of each weight, float32: the sum of their products with bytes is exact in float32, too.
    """

    def centers(count: Value, scale: Value) -> Value:
        numbers = graph.add("Range", 0, graph.add("Squeeze", count), 1)
        return graph.add("Mul", graph.add("Add", graph.add("Mul", numbers, 2), 1), scale)

    # distances times twice the new length
    new, old = graph.add("Unsqueeze", centers(resized, length), [1]), centers(length, resized)
    reach = graph.add("Mul", graph.add("Max", length, resized), 2)
    triangle = graph.add("Max", graph.add("Sub", reach, graph.add("Abs", graph.add("Sub", old, new))), 0)
    total = graph.add("ReduceSum", triangle, [1])
    # long division: share = triangle / total, as a number of 11 bits and one of 11 more, rounded
    shifted = graph.add("Mul", triangle, 2**_BITS)
    upper = graph.add("Div", shifted, total)
    rest = graph.add("Mul", graph.add("Sub", shifted, graph.add("Mul", upper, total)), 2 ** (_BITS + 1))
    lower = graph.add("Div", graph.add("Add", rest, total), graph.add("Mul", total, 2))
    return graph.cast(upper, np.float32), graph.cast(lower, np.float32)


def _add_mean(graph: Graph, upper: Value, lower: Value) -> Value:
    """The weighted sums, of the two halves of the weights, as whole numbers of 0 … 255, halves rounded up."""
    carried = graph.add("Floor", graph.add("Mul", lower, 2.0**-_BITS))
    total = graph.add("Add", graph.add("Add", upper, carried), 2.0 ** (_BITS - 1))
    return graph.add("Min", graph.add("Floor", graph.add("Mul", total, 2.0**-_BITS)), 255.0)


def mean_planes(pixels: PixelConvention, mean_image: object) -> np.ndarray:
    """A mean image, RGB (3, h, w) in 0 … 255, in the units and the order of a convention."""
    planes = as_array(mean_image) * np.float32(pixels.range / 255)  # type: ignore[arg-type]
    return planes[::-1].copy() if pixels.order == "BGR" else planes
