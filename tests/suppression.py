"""Boxes for tests of NMS, and what survives by the definition."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def expected_survivors(boxes: Tensor, usable: Tensor, iou: float, top: int, labels: Tensor | None = None) -> list[int]:
    """The definition, in float32 as torchvision's CPU operator rounds: one box after the other, the best first."""
    boxes, kept = boxes.float(), torch.zeros(0, dtype=torch.int64)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for index in usable.nonzero()[:, 0].tolist():
        others = kept if labels is None else kept[labels[kept] == labels[index]]
        low, high = boxes[others, :2].maximum(boxes[index, :2]), boxes[others, 2:].minimum(boxes[index, 2:])
        inter = (high - low).clamp(min=0).prod(1)
        overlap = inter / (areas[others] + areas[index] - inter)
        if not (overlap.double() > iou).any():
            kept = torch.cat([kept, torch.tensor([index])])
        if len(kept) == top:
            break
    return kept.tolist()


def on_a_grid(count: int, spread: int, seed: int) -> Tensor:
    """Boxes (count, 4) of whole numbers, with which every way to the IoU rounds alike."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(spread, (count, 2), generator=generator)
    return torch.cat([corner, corner + torch.randint(1, 40, (count, 2), generator=generator)], 1).float()


def chains(count: int) -> Tensor:
    """Boxes (count, 4) in a row; each overlaps the next by 0.6, and the one after it by less than a half."""
    left = torch.arange(count).float() * 8
    return torch.stack([left, torch.zeros(count), left + 32, torch.full((count,), 20.0)], 1)


def clusters(count: int) -> Tensor:
    """Boxes (count, 4) about few places: long lists of boxes that a better one suppresses."""
    places = torch.tensor([[0.0, 0, 100, 80], [30, 20, 130, 100], [300, 10, 360, 90]])
    generator = torch.Generator().manual_seed(count)
    return places[torch.arange(count) % len(places)] + torch.randint(-9, 10, (count, 4), generator=generator)


def padded(boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Boxes of several images as (B, N, 4), and which of them there are, bool (B, N)."""
    lengths = torch.tensor([len(each) for each in boxes])
    together = pad_sequence(boxes, batch_first=True, padding_value=7.0)
    return together, torch.arange(together.shape[1]) < lengths[:, None]
