"""A classifier as one graph: from RGB bytes to logits and probabilities. Legend: N images, K classes."""

from __future__ import annotations

import numpy as np

from resdet.export.graph import Graph, Value
from resdet.export.layers import NumberType, add_layers
from resdet.export.pixels import add_normalized, add_planes, add_resized, mean_planes
from resdet.export.sizes import add_picture_size, add_short_side_size
from resdet.models.classifier import Classifier


def classifier_graph(model: Classifier, dtype: NumberType, crop: int, short_side: int | None) -> Graph:
    """The whole classifier.

    Args:
        model: in eval mode.
        dtype: float32 or float16, what its layers compute in.
        crop: side of the centre crop, pixels.
        short_side: at least ``crop``: the graph takes pictures of any size, brings their shorter side to this and cuts the
            square out of their middle; None: it takes the squares.

    Inputs: ``images`` uint8 (N, H, W, 3), RGB.

    Outputs: ``logits`` and ``probabilities`` float32 (N, K).

    Raises:
        ConfigError: for layers that cannot be written.
    """
    graph = Graph()
    mean = None if model.mean_image is None else mean_planes(model.pixels, model.mean_image)
    if mean is not None and mean.shape[1:] != (crop, crop):
        mean = None  # its mean colour is the convention's mean
    fixed = mean is not None and short_side is None
    images = graph.input("images", np.uint8, ["batch", *([crop, crop] if fixed else ["height", "width"]), 3])
    planes = add_planes(graph, images)
    if short_side is not None:
        planes = _add_centre(graph, planes, add_short_side_size(graph, add_picture_size(graph, images), short_side), crop)
    logits = add_layers(graph, model.backbone, add_normalized(graph, planes, model.pixels, mean), dtype)
    graph.output(graph.add("Softmax", logits, axis=1), "probabilities", np.float32, ["batch", len(model.names)])
    graph.output(logits, "logits", np.float32, ["batch", len(model.names)])
    return graph


def _add_centre(graph: Graph, planes: Value, size: Value, crop: int) -> Value:
    """The central square of the planes resized to ``size``; half a pixel is rounded to even, as torchvision does it."""
    resized = add_resized(graph, planes, size)
    half = graph.add("Mul", graph.add("Sub", graph.cast(size, np.float32), float(crop)), 0.5)
    corner = graph.cast(graph.add("Round", half), np.int64)
    return graph.add("Slice", resized, corner, graph.add("Add", corner, [crop, crop]), [2, 3])
