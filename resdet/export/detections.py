"""From scored boxes to detections in a graph: ``resdet.models.detection.postprocess`` as nodes.

The images' regions come one after another and differ in number; here each image gets as many places as it can have regions, and
one for the row that is none. A place that is not used scores -1, which no threshold lets pass.

Legend: N images, R regions of all images, P regions of an image at most, K classes, D detections of an image at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from resdet.export.boxes import add_clipped, add_finite
from resdet.export.graph import Graph, Value
from resdet.export.regions import Regions
from resdet.models.detection.postprocess import Postprocess

_UNUSED = -1.0


class Found(NamedTuple):
    """Detections of N images, best first; the rows behind an image's own are zeros, their label -1.

    Attributes:
        boxes: float32 (N, D, 4) ``xyxy``.
        scores: float32 (N, D).
        labels: int64 (N, D).
        counts: int64 (N,), the detections of each image.
    """

    boxes: Value
    scores: Value
    labels: Value
    counts: Value


def add_detections(
    graph: Graph,
    rules: Postprocess,
    scores: Value,
    boxes: Value,
    regions: Regions,
    limits: Value,
    *,
    num_classes: int,
    most: int,
) -> Found:
    """Clip, threshold, NMS per class, the best of all.

    Args:
        graph: gets the nodes.
        rules: with NMS, and without voting.
        scores: (R + 1, K).
        boxes: (R + 1, K, 4).
        regions: the R regions, and the one that is none.
        limits: (N, 4), of the images.
        num_classes: K.
        most: P, no image has more regions.
    """
    own_limits = graph.add("Unsqueeze", graph.add("Gather", limits, regions.images), [1])
    boxes = add_clipped(graph, boxes, own_limits)
    real = graph.add("Unsqueeze", _add_real(graph, regions), [1])
    scores = graph.add("Where", graph.add("And", add_finite(graph, boxes), real), scores, _UNUSED)
    places = most + 1
    images = graph.sides(limits, 0, 1)
    index = _add_places(graph, regions.images, images)

    def spread(rows: Value, filling: float, *sides: int) -> Value:
        """Rows (R + 1, …) on the places of their images, (N, P + 1, …)."""
        shape = graph.add("Concat", images, np.array([places, *sides], np.int64), axis=0)
        return graph.add("ScatterND", graph.add("Expand", filling, shape), index, rows)

    boxes = graph.add("Transpose", spread(boxes, 0.0, num_classes, 4), perm=[0, 2, 1, 3])
    scores = graph.add("Transpose", spread(scores, _UNUSED, num_classes), perm=[0, 2, 1])
    # each class of each image by itself: (N * K, P + 1, 4) and (N * K, 1, P + 1)
    scores = graph.add("Reshape", scores, [-1, 1, places])
    survivors = _add_survivors(graph, rules, graph.add("Reshape", boxes, [-1, places, 4]), scores)
    number = num_classes * places
    boxes, scores = graph.add("Reshape", boxes, [-1, number, 4]), graph.add("Reshape", survivors, [-1, number])
    return _add_best(graph, boxes, scores, min(rules.detections_per_image, num_classes * most), places)


def _add_real(graph: Graph, regions: Regions) -> Value:
    """Whether a row is a region, bool (R + 1,): all are but the last."""
    rows = graph.add("Squeeze", graph.sides(regions.images, 0, 1))
    return graph.add("Less", graph.add("Range", 0, rows, 1), graph.add("Sub", rows, 1))


def _add_places(graph: Graph, owners: Value, images: Value) -> Value:
    """The image and the place in it, int64 (R + 1, 2), of regions that belong to ``owners``, those of an image together."""
    numbers = graph.add("Unsqueeze", graph.add("Range", 0, graph.add("Squeeze", images), 1), [1])
    before = graph.cast(graph.add("Less", graph.add("Unsqueeze", owners, [0]), numbers), np.int64)  # (N, R)
    first = graph.add("ReduceSum", before, [1], keepdims=0)
    rows = graph.add("Range", 0, graph.add("Squeeze", graph.sides(owners, 0, 1)), 1)
    place = graph.add("Sub", rows, graph.add("Gather", first, owners))
    return graph.add("Concat", graph.add("Unsqueeze", owners, [1]), graph.add("Unsqueeze", place, [1]), axis=1)


def _add_survivors(graph: Graph, rules: Postprocess, boxes: Value, scores: Value) -> Value:
    """The scores of those boxes that NMS within their class keeps, -1 elsewhere."""
    selected = graph.add(
        "NonMaxSuppression",
        boxes,
        scores,
        [rules.detections_per_image],
        [float(rules.nms_thresh)],
        [float(rules.score_thresh)],
    )
    nothing = graph.add("Expand", _UNUSED, graph.add("Shape", scores))
    return graph.add("ScatterND", nothing, selected, graph.add("GatherND", scores, selected))


def _add_best(graph: Graph, boxes: Value, scores: Value, number: int, places: int) -> Found:
    """The best scored of boxes (N, K * places, 4) and scores (N, K * places), which are in the order of their classes."""
    best, index = graph.add_split("TopK", scores, [number], outputs=2, axis=1)
    used = graph.add("GreaterOrEqual", best, 0.0)
    chosen = graph.add("GatherND", boxes, graph.add("Unsqueeze", index, [2]), batch_dims=1)
    return Found(
        graph.add("Where", graph.add("Unsqueeze", used, [2]), chosen, 0.0),
        graph.add("Max", best, 0.0),
        graph.add("Where", used, graph.add("Div", index, [places]), -1),
        graph.add("ReduceSum", graph.cast(used, np.int64), [1], keepdims=0),
    )
