"""Draws the candidates that enter a loss.

Legend: N images, A candidates (anchors or proposals) of an image, S drawn ones of all images together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from resdet.distributed.share import Share
from resdet.models.detection.matcher import NEGATIVE


def sample(
    matches: Tensor, *, batch_size_per_image: int, positive_fraction: float, share: Share | None = None
) -> tuple[Tensor, Tensor]:
    """Draw at random so many candidates of each image, at most ``positive_fraction`` of ``batch_size_per_image`` positive.

    Negatives fill what positives leave, so that a batch without objects is all negatives (Faster R-CNN, section 3.1.3).
    Randomness is torch's global generator of the device.

    Args:
        matches: int64 (N, A), as ``match`` returns them.
        batch_size_per_image: candidates to draw of an image; all where it has fewer.
        positive_fraction: in [0, 1].
        share: the share of a batch that the N images are; None: the whole.

    Returns:
        Indices (S,) of images and (S,) of candidates, sorted by image, then by candidate.
    """
    positive = draw(matches >= 0, int(batch_size_per_image * positive_fraction), batch_size_per_image, share)
    negative = draw(matches == NEGATIVE, batch_size_per_image - positive.sum(1, keepdim=True), batch_size_per_image, share)
    images, candidates = (positive | negative).nonzero(as_tuple=True)
    return images, candidates


def sample_evenly(matches: Tensor, batch_size_per_image: int, share: Share | None = None) -> tuple[Tensor, Tensor]:
    """As ``sample``, with as many positives as negatives of each image: half of the batch, or what the rarer of them has."""
    positive, negative = matches >= 0, matches == NEGATIVE
    pairs = torch.minimum(positive.sum(1, keepdim=True), negative.sum(1, keepdim=True)).clamp(max=batch_size_per_image // 2)
    chosen = draw(positive, pairs, batch_size_per_image, share) | draw(negative, pairs, batch_size_per_image, share)
    images, candidates = chosen.nonzero(as_tuple=True)
    return images, candidates


def draw(wanted: Tensor, counts: Tensor | int, most: int, share: Share | None = None) -> Tensor:
    """Choose at random among the wanted ones of each row: those of the largest random keys.

    Args:
        wanted: bool (N, A).
        counts: how many of each row, int64 (N, 1), or one number; of a row with fewer, all.
        most: no count is larger.
        share: the share of a batch that the rows are, which get the keys that they would get in the whole; None: the whole.

    Returns:
        bool (N, A), the chosen ones.
    """
    device, width = wanted.device, wanted.shape[1]
    keys = torch.rand(wanted.shape, device=device) if share is None else share.random(width, device)
    keys, order = keys.where(wanted, -1).topk(min(most, width))
    chosen = (keys >= 0) & (torch.arange(keys.shape[1], device=keys.device) < counts)
    return torch.zeros_like(wanted).scatter(1, order, chosen)
