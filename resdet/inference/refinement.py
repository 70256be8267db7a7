"""Iterative box refinement (paper, appendix B)."""

from __future__ import annotations

import torch

from resdet.inference.regions import RegionScorer, ScoredRegions
from resdet.ops.boxes import clip_boxes


def refine(scorer: RegionScorer, found: ScoredRegions, size: tuple[int, int]) -> ScoredRegions:
    """Pool each region's regressed box again, and join the new scores and boxes with the old.

    A region has a box for each class; the one of its best scored class is taken, clipped to the image, and classified and
    regressed once more. Boxes that are not a number, or empty after clipping, are not pooled.

    Args:
        scorer: that found the regions.
        found: R regions.
        size: (height, width) of the image, pixels.

    Returns:
        At most 2R regions: the old ones, then the new.
    """
    best = found.scores.argmax(dim=1)
    regions = clip_boxes(found.boxes[torch.arange(len(best), device=best.device), best], size)
    usable = torch.isfinite(regions).all(1) & (regions[:, 2:] > regions[:, :2]).all(1)
    again = scorer.score(regions[usable])
    return ScoredRegions(torch.cat([found.scores, again.scores]), torch.cat([found.boxes, again.boxes]))
