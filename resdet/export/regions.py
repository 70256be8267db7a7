"""Proposals and the classification of regions in a graph: ``RPN``, ``select_proposals`` and ``RoIHeads`` as nodes.

Legend: N images, A anchors of an image, R proposals of all images, K classes, C channels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torchvision.ops import RoIAlign, RoIPool

from resdet.errors import ConfigError
from resdet.export.boxes import (
    LARGEST,
    add_anchors,
    add_clipped,
    add_decoded,
    add_finite,
    add_least,
    add_shorter_side,
    add_whole,
)
from resdet.export.graph import Graph, Value
from resdet.export.layers import NumberType, add_convolution, add_layers, add_linear
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPN, RPNHead


class Regions(NamedTuple):
    """Regions of all images, those of an image together, and one more, which is not one.

    Where nothing is proposed the graph would compute with tensors of no rows, which ONNX Runtime got wrong as late as 1.23. So
    the last row is the whole last image; it is computed as the others are, and never detected.

    Attributes:
        boxes: float32 (R + 1, 4) ``xyxy``.
        images: int64 (R + 1,), the image of each.
    """

    boxes: Value
    images: Value


def add_proposals(graph: Graph, rpn: RPN, features: Value, limits: Value, dtype: NumberType) -> Regions:
    """What the RPN proposes on maps (N, C, H, W) of images with these limits (N, 4), as many as in testing."""
    keep = rpn.test_filter
    logits, deltas = _add_rpn_head(graph, rpn.head, features, dtype)
    scores, order = graph.add_split(
        "TopK", logits, add_least(graph, keep.pre_nms_top_n, graph.sides(logits, 1, 2)), outputs=2, axis=1
    )
    anchors = graph.add("Gather", add_anchors(graph, rpn.anchors, features), order)
    deltas = graph.add("GatherND", deltas, graph.add("Unsqueeze", order, [2]), batch_dims=1)
    boxes = add_clipped(graph, add_decoded(graph, rpn.coder, deltas, anchors), graph.add("Unsqueeze", limits, [1]))
    shorter = add_shorter_side(graph, boxes)
    usable = graph.add("And", add_finite(graph, boxes), graph.add("Greater", shorter, float(keep.min_size)))
    scores = graph.add("Where", usable, scores, -np.inf)
    selected = graph.add(  # rows (image, 0, place), an image's best first
        "NonMaxSuppression",
        boxes,
        graph.add("Unsqueeze", scores, [1]),
        [keep.post_nms_top_n],
        [float(keep.nms_thresh)],
        [-LARGEST],
    )
    images = graph.add("Gather", selected, 0, axis=1)
    own = graph.add("GatherND", boxes, graph.add("Gather", selected, [0, 2], axis=1))
    last = graph.add("Sub", graph.sides(limits, 0, 1), [1])
    whole = add_whole(graph, graph.add("Gather", limits, last))
    return Regions(graph.add("Concat", own, whole, axis=0), graph.add("Concat", images, last, axis=0))


def _add_rpn_head(graph: Graph, head: RPNHead, features: Value, dtype: NumberType) -> tuple[Value, Value]:
    """Logits (N, A) and deltas (N, A, 4), float32."""
    given = graph.cast(features, dtype)
    hidden = graph.add("Relu", add_convolution(graph, head.conv, given, dtype))
    logits, deltas = (
        graph.add("Transpose", graph.cast(add_convolution(graph, layer, hidden, dtype), np.float32), perm=[0, 2, 3, 1])
        for layer in (head.objectness, head.deltas)
    )
    return graph.shaped(logits, 0, -1), graph.shaped(deltas, 0, -1, 4)


def add_classified(
    graph: Graph, heads: RoIHeads, features: Value, regions: Regions, limits: Value, dtype: NumberType
) -> tuple[Value, Value]:
    """Probabilities (R + 1, K) and boxes (R + 1, K, 4) of regions; limits (N, 4) are the images'."""
    averages = _add_averages(graph, heads, features, regions, limits, dtype)
    logits = add_linear(graph, heads.predictor.cls_score, averages)
    deltas = graph.shaped(add_linear(graph, heads.predictor.bbox_pred, averages), 0, heads.num_classes, 4)
    scores = graph.add("Slice", graph.add("Softmax", logits, axis=1), [0], [heads.num_classes], [1])
    return scores, add_decoded(graph, heads.coder, deltas, graph.add("Unsqueeze", regions.boxes, [1]))


def _add_averages(graph: Graph, heads: RoIHeads, features: Value, regions: Regions, limits: Value, dtype: NumberType) -> Value:
    """The feature of each region; with global context, which makes the whole images regions too, its image's behind it."""
    if not heads.context:
        return _add_conv5(graph, heads, features, regions, dtype)
    count = graph.sides(regions.boxes, 0, 1)
    images = graph.add("Squeeze", graph.sides(limits, 0, 1))
    whole = add_whole(graph, limits)
    numbers = graph.add("Concat", regions.images, graph.add("Range", 0, images, 1), axis=0)
    both = Regions(graph.add("Concat", regions.boxes, whole, axis=0), numbers)
    averages = _add_conv5(graph, heads, features, both, dtype)
    own = graph.add("Slice", averages, [0], count, [0])
    context = graph.add("Slice", averages, count, [np.iinfo(np.int64).max], [0])
    return graph.add("Concat", own, graph.add("Gather", context, regions.images), axis=1)


def _add_conv5(graph: Graph, heads: RoIHeads, features: Value, regions: Regions, dtype: NumberType) -> Value:
    """Pooling, conv5 and the mean over positions, (R + 1, C')."""
    maps = add_layers(graph, heads.res5, _add_pooled(graph, heads, features, regions), dtype)
    return graph.add("Flatten", graph.add("GlobalAveragePool", maps), axis=1)


def _add_pooled(graph: Graph, heads: RoIHeads, features: Value, regions: Regions) -> Value:
    pooler = heads.pooler
    if isinstance(pooler, RoIAlign):
        height, width = (pooler.output_size,) * 2 if isinstance(pooler.output_size, int) else pooler.output_size
        return graph.add(
            "RoiAlign",
            features,
            regions.boxes,
            regions.images,
            output_height=height,
            output_width=width,
            sampling_ratio=max(pooler.sampling_ratio, 0),
            spatial_scale=pooler.spatial_scale,
            coordinate_transformation_mode="half_pixel" if pooler.aligned else "output_half_pixel",
        )
    if not isinstance(pooler, RoIPool):
        raise ConfigError(f"export: regions must be pooled by RoIAlign or RoIPool, got {type(pooler).__name__}")
    numbers = graph.cast(graph.add("Unsqueeze", regions.images, [1]), np.float32)
    rois = graph.add("Concat", numbers, regions.boxes, axis=1)
    side = pooler.output_size
    shape = [side, side] if isinstance(side, int) else list(side)
    return graph.add("MaxRoiPool", features, rois, pooled_shape=shape, spatial_scale=pooler.spatial_scale)
