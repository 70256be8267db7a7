"""A per-class RPN as one graph: from RGB bytes and classes to a box for each (paper, appendix C).

Legend: N images, A anchors of an image, Q classes asked for of each, K classes, C channels.
"""

from __future__ import annotations

import numpy as np

from resdet.export.boxes import (
    LARGEST,
    add_anchors,
    add_clipped,
    add_decoded,
    add_finite,
    add_limits,
    add_shorter_side,
    add_whole,
)
from resdet.export.graph import Graph, Value
from resdet.export.layers import NumberType, add_convolution, add_layers, as_array
from resdet.export.pixels import add_normalized, add_planes, add_resized
from resdet.export.sizes import add_picture_size, add_scale, add_short_side_size
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.localization.per_class_rpn import PerClassRPN


def localizer_graph(model: PerClassRPN, dtype: NumberType, vote_iou: float, short_side: int | None) -> Graph:
    """The whole localizer, for one scale.

    Args:
        model: in eval mode.
        dtype: float32 or float16, what the body computes in.
        vote_iou: an anchor's box votes for the best one where it overlaps it by at least this; 0: no voting.
        short_side: the graph takes pictures of any size and brings their shorter side to this; None: it takes resized ones.

    Inputs: ``images`` uint8 (N, H, W, 3), RGB; ``classes`` int64 (N, Q), 0 … K-1.

    Outputs: ``boxes`` float32 (N, Q, 4) ``xyxy`` in pixels of the input, ``scores`` float32 (N, Q).

    Raises:
        ConfigError: for layers that cannot be written.
    """
    graph = Graph()
    images = graph.input("images", np.uint8, ["batch", "height", "width", 3])
    classes = graph.input("classes", np.int64, ["batch", "asked"])
    planes, original = add_planes(graph, images), add_picture_size(graph, images)
    size = original if short_side is None else add_short_side_size(graph, original, short_side)
    planes = planes if short_side is None else add_resized(graph, planes, size)
    features = add_layers(graph, model.body, add_normalized(graph, planes, model.pixels), dtype)
    logits, deltas = _add_head(graph, model.head, features, classes)
    limits = graph.shaped(add_limits(graph, graph.add("Unsqueeze", size, [0])), 4)
    boxes = add_clipped(graph, add_decoded(graph, model.coder, deltas, add_anchors(graph, model.anchors, features)), limits)
    best, score = _add_best(graph, boxes, graph.add("Sigmoid", logits), limits, vote_iou)
    if short_side is not None:
        whole = graph.shaped(add_limits(graph, graph.add("Unsqueeze", original, [0])), 4)
        best = add_clipped(graph, graph.add("Mul", best, add_scale(graph, size, original)), whole)
    graph.output(best, "boxes", np.float32, ["batch", "asked", 4])
    graph.output(score, "scores", np.float32, ["batch", "asked"])
    return graph


def _add_head(graph: Graph, head: PerClassHead, features: Value, classes: Value) -> tuple[Value, Value]:
    """``PerClassHead.forward``: logits (N, Q, A) and deltas (N, Q, A, 4)."""
    flat = graph.shaped(features, 0, 0, -1)  # (N, C, H * W)
    asked = graph.sides(classes, 1, 2)
    rows = []
    for own, common in ((head.cls, head.common_cls), (head.reg, head.common_reg)):
        outputs = common.out_channels
        weight = as_array(own.weight).reshape(head.num_classes, outputs, -1)
        bias = as_array(own.bias).reshape(head.num_classes, outputs, 1)  # type: ignore[arg-type]
        weights = graph.shaped(graph.add("Gather", weight, classes), 0, -1, own.in_channels)
        result = graph.shaped(graph.add("MatMul", weights, flat), 0, asked, outputs, -1)
        result = graph.add("Add", result, graph.add("Gather", bias, classes))
        shared = graph.shaped(add_convolution(graph, common, features), 0, outputs, -1)
        rows.append(graph.add("Add", result, graph.add("Unsqueeze", shared, [1])))  # (N, Q, outputs, H * W)
    logits, deltas = (graph.add("Transpose", each, perm=[0, 1, 3, 2]) for each in rows)
    return graph.shaped(logits, 0, 0, -1), graph.shaped(deltas, 0, 0, -1, 4)


def _add_best(graph: Graph, boxes: Value, scores: Value, limits: Value, vote_iou: float) -> tuple[Value, Value]:
    """``best_box`` of boxes (N, Q, A, 4) and scores (N, Q, A): (N, Q, 4) and (N, Q)."""
    shorter = add_shorter_side(graph, boxes)
    known = graph.add("And", add_finite(graph, boxes), graph.add("LessOrEqual", graph.add("Abs", scores), LARGEST))
    usable = graph.add("And", known, graph.add("Greater", shorter, 0.0))
    chances = graph.add("Where", usable, scores, -1.0)
    place = graph.add("ArgMax", chances, axis=2, keepdims=1)
    best = graph.add("GatherND", boxes, place, batch_dims=2)
    score = graph.add("ReduceMax", chances, [2], keepdims=0)
    there = graph.add("GreaterOrEqual", score, 0.0)
    if vote_iou:
        votes = _add_votes(graph, boxes, graph.add("Where", known, scores, 0.0), best, vote_iou)
        best = graph.add("Where", graph.add("Unsqueeze", there, [2]), votes, best)
    whole = add_whole(graph, limits)
    return graph.add("Where", graph.add("Unsqueeze", there, [2]), best, whole), graph.add("Max", score, 0.0)


def _add_votes(graph: Graph, boxes: Value, scores: Value, best: Value, vote_iou: float) -> Value:
    """``box_voting`` for one box (N, Q, 4) of each class."""
    own = graph.add("Unsqueeze", best, [2])
    low, high = graph.add_split("Split", boxes, [2, 2], outputs=2, axis=-1)
    own_low, own_high = graph.add_split("Split", own, [2, 2], outputs=2, axis=-1)

    def area(start: Value, end: Value) -> Value:
        return graph.add("ReduceProd", graph.add("Max", graph.add("Sub", end, start), 0.0), [-1], keepdims=0)

    shared = area(graph.add("Max", low, own_low), graph.add("Min", high, own_high))
    union = graph.add("Sub", graph.add("Add", area(low, high), area(own_low, own_high)), shared)
    enough = graph.add("GreaterOrEqual", shared, graph.add("Mul", union, float(vote_iou)))
    votes = graph.add("Where", enough, scores, 0.0)
    total = graph.add("ReduceSum", votes, [2], keepdims=1)
    finite = graph.add("Where", graph.add("Unsqueeze", add_finite(graph, boxes), [3]), boxes, 0.0)
    summed = graph.add("Squeeze", graph.add("MatMul", graph.add("Unsqueeze", votes, [2]), finite), [2])
    return graph.add("Div", summed, graph.add("Max", total, float(np.finfo(np.float32).tiny)))
