"""Scorers: what an image's regions show, and the better boxes they get (paper, appendix B).

One network on one image is a scorer; the mean with the mirror image, and the mean of several networks, are scorers again. All
regions and boxes are in one frame, the pixels of the image as the data resizes it, at whatever scales and on whatever side the
networks look. Legend: R regions of one image, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from resdet.inference.finite import check_finite
from resdet.inference.multi_scale import Level, merged_features
from resdet.models.detection.context import join_context, whole_image_boxes
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.ops.boxes import mirror_boxes
from resdet.ops.precision import in_float64
from resdet.structures import ImageBatch


@dataclass(frozen=True)
class ScoredRegions:
    """Regions with their probabilities and a box for each class.

    Attributes:
        scores: float32 (R, K), in [0, 1].
        boxes: float32 (R, K, 4) ``xyxy``, not clipped to the image.
    """

    scores: Tensor
    boxes: Tensor


class RegionScorer(Protocol):
    """What detection needs of an image and the networks that look at it."""

    def propose(self) -> Tensor:
        """Regions float32 (R, 4) ``xyxy`` inside the image, best first."""

    def score(self, regions: Tensor) -> ScoredRegions:
        """Classify regions (R, 4) and regress their boxes."""


class NetworkScorer:
    """One network on one image.

    Args:
        model: the network, in eval mode.
        image: uint8 (3, H, W), RGB; its pixels are the frame.
        pyramid: the same picture at increasing sizes, uint8 (3, H_i, W_i): regions are pooled at the two nearest; empty: at the
            image's own size. Proposals come from the image.
    """

    def __init__(self, model: FasterRCNN, image: Tensor, pyramid: Sequence[Tensor] = ()) -> None:
        self.model = model
        self.image = image
        self.size = (image.shape[1], image.shape[2])
        self.pyramid = pyramid

    @cached_property
    def own(self) -> Level:
        """The image at its own size, which those who are given regions at other sizes alone never need."""
        return self._level(self.image)

    @cached_property
    def levels(self) -> list[Level]:
        """What regions are pooled from; the level of the image's own size is the image."""
        shape = self.image.shape
        return [self.own if level.shape == shape else self._level(level) for level in self.pyramid] or [self.own]

    def _level(self, image: Tensor) -> Level:
        batch = ImageBatch.from_images([image], self.model.pixels, self.model.device)
        return Level(self.model.trunk(batch.tensor), batch.sizes[0])

    def propose(self) -> Tensor:
        """The RPN's regions on the image, at its own size."""
        rpn = self.model.rpn
        logits, deltas, anchors = rpn.predict(self.own.features)
        check_finite(logits, "the RPN's scores")
        ((proposals, _),) = rpn.propose(logits, deltas, anchors, [self.size], rpn.test_filter)
        return proposals

    def score(self, regions: Tensor) -> ScoredRegions:
        """The region classifier's word; with global context, the whole image is one more region."""
        heads = self.model.roi_heads
        features = self._features(regions)
        if heads.context:
            (whole,) = whole_image_boxes([self.size], regions)
            features = join_context(features, self._features(whole), [len(regions)])
        logits, deltas = heads.predictor(features)
        return ScoredRegions(*heads.scored_boxes(check_finite(logits, "the scores of regions"), deltas, regions))

    def _features(self, regions: Tensor) -> Tensor:
        return merged_features(self.model.roi_heads, self.levels, regions, self.size)


class WithMirrorImage:
    """The mean of an image and its mirror image; regions are proposed on the image alone.

    Args:
        scorer: on the image.
        mirrored: on the mirror image.
        width: of both, pixels.
    """

    def __init__(self, scorer: RegionScorer, mirrored: RegionScorer, width: int) -> None:
        self.scorer = scorer
        self.mirrored = mirrored
        self.width = width

    def propose(self) -> Tensor:
        """The image's regions."""
        return self.scorer.propose()

    def score(self, regions: Tensor) -> ScoredRegions:
        """The mean over both sides, boxes turned back."""
        other = self.mirrored.score(mirror_boxes(regions, self.width))
        return mean_of([self.scorer.score(regions), ScoredRegions(other.scores, mirror_boxes(other.boxes, self.width))])


class Ensemble:
    """The mean of several scorers on the union of their regions (paper, appendix B).

    Args:
        members: at least one.
        shares: the weight of each, above 0; equal ones when not given.
    """

    def __init__(self, members: Sequence[RegionScorer], shares: Sequence[float] | None = None) -> None:
        self.members = list(members)
        self.shares = shares

    def propose(self) -> Tensor:
        """The first member's regions, then of each other those that none before it has."""
        first, *others = (member.propose() for member in self.members)
        for regions in others:
            known = (regions[:, None] == first[None]).all(2).any(1)
            first = torch.cat([first, regions[~known]])
        return first

    def score(self, regions: Tensor) -> ScoredRegions:
        """The mean over the members."""
        return mean_of([member.score(regions) for member in self.members], self.shares)


def mean_of(found: Sequence[ScoredRegions], shares: Sequence[float] | None = None) -> ScoredRegions:
    """The mean of scores and of boxes of the same regions, weighted by ``shares`` (equal when None).

    It is taken in float64, in which the mean of equal numbers is that number: a network with itself is the network.
    """

    def mean(parts: list[Tensor]) -> Tensor:
        stacked = in_float64(torch.stack(parts))
        weights = torch.tensor(shares or [1.0] * len(found), dtype=torch.float64, device=stacked.device)
        total = (stacked * weights.view(-1, *[1] * (stacked.ndim - 1))).sum(0)
        return (total / weights.sum()).float().to(parts[0].device)

    return ScoredRegions(mean([each.scores for each in found]), mean([each.boxes for each in found]))
