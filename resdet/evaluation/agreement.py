"""Whether two implementations of one detector found the same.

Two implementations of one detector round differently. So neighbours in the list whose scores are nearly equal may swap, and
what lies on an edge (a score at the threshold, an overlap at the threshold of NMS, a score at the end of a full list) may be
found by one of them only. Nothing else may differ. The rule:

* Detections are paired one to one: the same class, no side of the box further away than ``boxes`` pixels, no score than
  ``scores``; of several that fit, the nearest box.
* ``found`` is sorted by its own scores, and a pair comes before another one whose expected score is lower by more than
  ``scores``.
* What is in one list alone is a difference, unless one of the ``edges`` that are given excuses it: see ``Edges``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resdet.models.detection.postprocess import Postprocess
from resdet.structures import Detections

# What no user sees. Rounding in float32 moves the detections of a whole network by less than a fifth of it, on every kernel
# that was tried (docs/testing.md), also where the outputs of untrained layers, which hardly vary, are spread a hundredfold; a
# mistake moves them by far more.
SCORES = 1e-4
BOXES = 0.01  # pixels


@dataclass(frozen=True)
class Edges:
    """Where the rules of a detector decide by a hair; None: the rule is not used, and excuses nothing.

    Attributes:
        score: the threshold. It excuses a detection that scores within ``scores`` of it.
        limit: detections kept. A full list excuses what the other one has beside it, at most ``scores`` above its last score.
        nms: the IoU. A detection is excused by a better one of its class in the other list (not worse by more than ``scores``),
            if moving sides by ``boxes`` pixels puts their IoU on either side of the threshold; or if they overlap by more and
            the better one is itself in one list only, excused or so close in score that either may suppress the other.
    """

    score: float | None = None
    nms: float | None = None
    limit: int | None = None


NO_EDGES = Edges()


def edges_of(rules: Postprocess) -> Edges:
    """The edges of a detector with NMS; a ValueError with voting or soft NMS, which change scores and boxes by more."""
    if rules.soft_nms != "none" or rules.vote_iou:
        raise ValueError(f"edges_of needs a detector with NMS and without voting, got {rules}")
    return Edges(rules.score_thresh, rules.nms_thresh, rules.detections_per_image)


def differences(
    found: Detections | tuple[Tensor, Tensor, Tensor],
    expected: Detections | tuple[Tensor, Tensor, Tensor],
    *,
    scores: float = SCORES,
    boxes: float = BOXES,
    edges: Edges = NO_EDGES,
) -> list[str]:
    """All differences of two lists of detections, in words; none where they are the same.

    Args:
        found: detections, or their boxes (N, 4) ``xyxy`` in pixels, scores (N,) and labels (N,), best first.
        expected: as ``found``.
        scores: how far two scores of one detection may be from each other.
        boxes: how far two boxes of one detection may be from each other, at any side, pixels.
        edges: what either may find alone.
    """
    return _compared(_rows(found), _rows(expected), scores, boxes, edges)


@dataclass(frozen=True)
class _Rows:
    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def text(self, index: int) -> str:
        box = ", ".join(f"{side:.4f}" for side in self.boxes[index].tolist())
        return f"number {index}, class {int(self.labels[index])}, score {float(self.scores[index]):.6f}, box {box}"


def _rows(detections: Detections | tuple[Tensor, Tensor, Tensor]) -> _Rows:
    if isinstance(detections, Detections):
        detections = detections.boxes, detections.scores, detections.labels
    boxes, scores, labels = detections
    return _Rows(boxes.double().reshape(-1, 4), scores.double(), labels)


def _compared(found: _Rows, expected: _Rows, scores: float, boxes: float, edges: Edges) -> list[str]:
    problems = [
        f"{name} has numbers that are not finite"
        for name, rows in (("found", found), ("expected", expected))
        if not (rows.boxes.isfinite().all() and rows.scores.isfinite().all())
    ]
    if problems:
        return problems
    if (found.scores[1:] > found.scores[:-1]).any():
        problems.append("found is not sorted by score")
    pairs = _pairs(found, expected, scores, boxes)
    mine, theirs = set(range(len(found))) - set(pairs.values()), set(range(len(expected))) - set(pairs)
    excused = _excused(found, expected, mine, theirs, scores, boxes, edges)
    problems += [f"not expected: {found.text(index)}" for index in sorted(mine - excused[0])]
    problems += [f"not found: {expected.text(index)}" for index in sorted(theirs - excused[1])]
    for better in pairs:
        for worse in pairs:
            if expected.scores[better] > expected.scores[worse] + scores and pairs[better] > pairs[worse]:
                problems.append(f"{found.text(pairs[worse])} comes before {found.text(pairs[better])}")
    return problems


def _pairs(found: _Rows, expected: _Rows, scores: float, boxes: float) -> dict[int, int]:
    """As many pairs (expected: found) as possible, by augmenting paths."""
    distance = (expected.boxes[:, None] - found.boxes).abs().amax(2)
    close = (distance <= boxes) & ((expected.scores[:, None] - found.scores).abs() <= scores)
    close &= expected.labels[:, None] == found.labels
    near = [[j for j in row.argsort().tolist() if ok[j]] for row, ok in zip(distance, close, strict=True)]
    owner: dict[int, int] = {}

    def place(index: int, seen: set[int]) -> bool:
        for candidate in near[index]:
            if candidate not in seen:
                seen.add(candidate)
                if candidate not in owner or place(owner[candidate], seen):
                    owner[candidate] = index
                    return True
        return False

    for index in range(len(expected)):
        place(index, set())
    return {index: candidate for candidate, index in owner.items()}


def _excused(
    found: _Rows, expected: _Rows, mine: set[int], theirs: set[int], scores: float, boxes: float, edges: Edges
) -> tuple[set[int], set[int]]:
    """Those of ``mine`` and ``theirs``, which are in one list alone, that an edge excuses."""
    sides = ((found, mine, expected, theirs), (expected, theirs, found, mine))
    excused: tuple[set[int], set[int]] = (set(), set())
    for side, (rows, alone, other, _) in enumerate(sides):
        for index in alone:
            score = rows.scores[index]
            at_threshold = edges.score is not None and abs(score - edges.score) <= scores
            at_the_end = edges.limit is not None and len(other) == edges.limit and score <= other.scores.min() + scores
            if at_threshold or at_the_end:
                excused[side].add(index)
    if edges.nms is None:
        return excused
    grew = True
    while grew:
        before = len(excused[0]) + len(excused[1])
        for side, (rows, alone, other, others) in enumerate(sides):
            for index in alone - excused[side]:
                least, most = _ious(rows.boxes[index], other.boxes, boxes)
                by_a_hair = (least <= edges.nms) & (most >= edges.nms)
                tied = (other.scores - rows.scores[index]).abs() <= scores
                alone_too = torch.tensor([j in others and (j in excused[1 - side] or bool(tied[j])) for j in range(len(other))])
                better = (other.labels == rows.labels[index]) & (other.scores >= rows.scores[index] - scores)
                if (better & (by_a_hair | ((most >= edges.nms) & alone_too))).any():
                    excused[side].add(index)
        grew = len(excused[0]) + len(excused[1]) > before
    return excused


def _ious(box: Tensor, others: Tensor, slack: float) -> tuple[Tensor, Tensor]:
    """The least and the largest IoU of ``box`` (4,) with ``others`` (N, 4) when every side may move by ``slack`` pixels."""
    move = torch.tensor([-slack, -slack, slack, slack], dtype=box.dtype)

    def area(boxes: Tensor) -> Tensor:
        return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)

    def shared(one: Tensor, two: Tensor) -> Tensor:
        return area(torch.cat([torch.maximum(one[..., :2], two[..., :2]), torch.minimum(one[..., 2:], two[..., 2:])], -1))

    least, most = shared(box - move, others - move), shared(box + move, others + move)
    smaller = (area(box - move) + area(others - move) - most).clamp(min=1e-12)
    larger = (area(box + move) + area(others + move) - least).clamp(min=1e-12)
    return least / larger, most / smaller
