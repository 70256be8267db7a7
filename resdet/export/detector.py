"""Faster R-CNN as one graph: from RGB bytes to detections (paper, appendix A).

Legend: N images, D detections of an image at most.
"""

from __future__ import annotations

import numpy as np

from resdet.export.boxes import add_clipped, add_limits
from resdet.export.detections import Found, add_detections
from resdet.export.graph import Graph, Value
from resdet.export.layers import NumberType, add_layers
from resdet.export.pixels import add_normalized, add_padding, add_planes, add_resized
from resdet.export.regions import add_classified, add_proposals
from resdet.export.sizes import add_detection_size, add_picture_size, add_scale
from resdet.models.detection.faster_rcnn import FasterRCNN


def detector_graph(model: FasterRCNN, dtype: NumberType, resize: tuple[int, int] | None) -> Graph:
    """The whole detector.

    Args:
        model: the plain one, in eval mode, with NMS and without voting.
        dtype: float32 or float16, what convolutions compute in.
        resize: the shorter side, and the longer at most, pixels: the graph takes pictures of any size and resizes them; None:
            it takes pictures that are resized already.

    Inputs: ``images`` uint8 (N, H, W, 3), RGB; without ``resize`` also ``sizes`` int64 (N, 2), the height and width of each
    image, which what lies right of it and below does not belong to.

    Outputs: ``boxes`` float32 (N, D, 4) ``xyxy`` in pixels of the input, ``scores`` float32 (N, D), ``labels`` int64 (N, D),
    ``counts`` int64 (N,): the first so many rows of an image are its detections, best first; the others are zeros, label -1.

    Raises:
        ConfigError: for layers that cannot be written.
    """
    graph = Graph()
    images = graph.input("images", np.uint8, ["batch", "height", "width", 3])
    planes = add_planes(graph, images)
    if resize is None:
        sizes = graph.input("sizes", np.int64, ["batch", 2])
        pixels = add_padding(graph, add_normalized(graph, planes, model.pixels), sizes)
        found = _add_network(graph, model, pixels, sizes, dtype)
    else:
        original = add_picture_size(graph, images)
        size = add_detection_size(graph, original, *resize)
        pixels = add_normalized(graph, add_resized(graph, planes, size), model.pixels)
        batch = graph.sides(images, 0, 1)
        sizes, originals = (graph.add("Expand", each, graph.add("Concat", batch, [2], axis=0)) for each in (size, original))
        found = _add_network(graph, model, pixels, sizes, dtype)
        limits = graph.add("Unsqueeze", add_limits(graph, originals), [1])
        boxes = graph.add("Mul", found.boxes, add_scale(graph, size, original))
        found = found._replace(boxes=add_clipped(graph, boxes, limits))
    graph.output(found.boxes, "boxes", np.float32, ["batch", "detections", 4])
    graph.output(found.scores, "scores", np.float32, ["batch", "detections"])
    graph.output(found.labels, "labels", np.int64, ["batch", "detections"])
    graph.output(found.counts, "counts", np.int64, ["batch"])
    return graph


def _add_network(graph: Graph, model: FasterRCNN, pixels: Value, sizes: Value, dtype: NumberType) -> Found:
    limits = add_limits(graph, sizes)
    features = add_layers(graph, model.trunk, pixels, dtype)
    regions = add_proposals(graph, model.rpn, features, limits, dtype)
    scores, boxes = add_classified(graph, model.roi_heads, features, regions, limits, dtype)
    return add_detections(
        graph,
        model.roi_heads.postprocess,
        scores,
        boxes,
        regions,
        limits,
        num_classes=model.roi_heads.num_classes,
        most=model.rpn.test_filter.post_nms_top_n,
    )
