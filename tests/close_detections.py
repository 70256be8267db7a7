"""Detections of two implementations, compared as sets; ``resdet.evaluation.agreement`` says by which rule.

The parts of the networks are compared in float64, where rounding is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from resdet.evaluation.agreement import BOXES, NO_EDGES, SCORES, Edges, differences, edges_of
from resdet.structures import Detections

__all__ = ["BOXES", "NO_EDGES", "SCORES", "Edges", "assert_close_detections", "edges_of", "rows_as_detections"]


def assert_close_detections(
    found: Detections | tuple[Tensor, Tensor, Tensor],
    expected: Detections | tuple[Tensor, Tensor, Tensor],
    *,
    scores: float = SCORES,
    boxes: float = BOXES,
    edges: Edges = NO_EDGES,
) -> None:
    """Fail with all differences of two lists of detections; the arguments are those of ``differences``."""
    problems = differences(found, expected, scores=scores, boxes=boxes, edges=edges)
    assert not problems, "\n".join([f"{len(problems)} differences:", *problems])


def rows_as_detections(rows: Sequence[Mapping[str, Any]]) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and labels of rows of a COCO results file, ``bbox`` being ``x, y, width, height``."""
    boxes = torch.tensor([row["bbox"] for row in rows], dtype=torch.float64).reshape(-1, 4)
    scores = torch.tensor([row["score"] for row in rows], dtype=torch.float64)
    boxes[:, 2:] += boxes[:, :2]
    return boxes, scores, torch.tensor([row["category_id"] for row in rows], dtype=torch.int64)
