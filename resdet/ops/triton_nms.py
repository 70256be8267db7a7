"""Non-maximum suppression of several images at once, on a GPU, by Triton; the host waits for nothing.

First every pair of boxes is compared: each box gets bits of the later boxes that it overlaps, 64 in a word. Then one program an
image walks down its boxes, 64 at a time. Among 64 boxes a box survives when none that survives overlaps it; to assume that
all survive and apply this rule until nothing changes finds them, for what it says of a box depends on better ones alone.

IoU is computed as torchvision does it on a CPU: float32, ``inter / (area + area - inter) > threshold``, each step rounded.

Legend: B images, N boxes of an image, W words of 64 boxes.
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

_TILE = 8192  # words that the walk reads at a time: they lie in registers


def batched_top_nms(boxes: Tensor, usable: Tensor, iou: float, top: int, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Of each image the first boxes that survive NMS.

    Args:
        boxes: float32 (B, N, 4) ``xyxy``, of each image best first.
        usable: bool (B, N); the others neither survive nor suppress.
        iou: a box that overlaps a better one by more than this, in [0, 1], is dropped.
        top: at most this many of an image are kept.
        labels: int64 (B, N); boxes of different labels never suppress each other. None: all are of one label.

    Returns:
        int64 (B, min(top, N)) indices of boxes, best first, zeros behind the last, and how many they are, int64 (B,).
    """
    images, count = usable.shape
    top = min(top, count)
    survivors = torch.zeros(images, top, dtype=torch.int64, device=boxes.device)
    kept = torch.zeros(images, dtype=torch.int64, device=boxes.device)
    if not survivors.numel():
        return survivors, kept
    words = triton.cdiv(count, 64)
    overlaps = torch.empty(images, count, words, dtype=torch.int64, device=boxes.device)
    boxes, usable = boxes.float().contiguous(), usable.contiguous()
    classes = usable if labels is None else labels.contiguous()  # without labels nothing reads it
    width = max(triton.next_power_of_2(words), 32)
    with torch.cuda.device_of(boxes):
        _overlaps[words, words, images](
            boxes, classes, overlaps, _below(iou), count, words, labels is not None,
            enable_fp_fusion=False, num_warps=8,
        )  # fmt: skip
        _walk[(images,)](
            overlaps, usable, survivors, kept, count, words, top, width, min(64, max(_TILE // width, 1)),
            num_warps=min(max(width // 16, 4), 16),
        )  # fmt: skip
    return survivors, kept


def _below(threshold: float) -> float:
    """The largest float32 that is not above ``threshold``: a float32 is above the one where it is above the other."""
    near = np.float32(threshold)
    return float(near if float(near) <= threshold else np.nextafter(near, np.float32(-1)))


# compiled once for all counts, which differ from image to image
@triton.jit(do_not_specialize=["count", "words"])
def _overlaps(
    boxes: tl.tensor,
    labels: tl.tensor,
    overlaps: tl.tensor,
    threshold: tl.tensor,
    count: tl.tensor,
    words: tl.tensor,
    by_label: tl.constexpr,
) -> None:
    """For 64 boxes of an image the bits of later ones among 64 that they overlap; words of earlier ones stay unset."""
    word, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    if word >= block:
        bits = tl.arange(0, 64)
        rows, columns = block * 64 + bits, word * 64 + bits
        first = image.to(tl.int64) * count
        mine, others = boxes + (first + rows) * 4, boxes + (first + columns) * 4
        here, there = rows < count, columns < count
        x1 = tl.load(mine, here, 0.0)[:, None]
        y1 = tl.load(mine + 1, here, 0.0)[:, None]
        x2 = tl.load(mine + 2, here, 0.0)[:, None]
        y2 = tl.load(mine + 3, here, 0.0)[:, None]
        left = tl.load(others, there, 0.0)[None, :]
        above = tl.load(others + 1, there, 0.0)[None, :]
        right = tl.load(others + 2, there, 0.0)[None, :]
        below = tl.load(others + 3, there, 0.0)[None, :]
        width = tl.maximum(tl.minimum(x2, right) - tl.maximum(x1, left), 0.0)
        height = tl.maximum(tl.minimum(y2, below) - tl.maximum(y1, above), 0.0)
        inter = width * height
        areas = (x2 - x1) * (y2 - y1) + (right - left) * (below - above)
        found = tl.div_rn(inter, areas - inter) > threshold  # of two empty boxes: NaN, which is not above
        found = found & (columns[None, :] > rows[:, None]) & there[None, :]
        if by_label:
            own = tl.load(labels + first + rows, here, 0)[:, None]
            found = found & (own == tl.load(labels + first + columns, there, 0)[None, :])
        shifted = tl.full([64], 1, tl.int64) << bits.to(tl.int64)
        word_of = tl.sum(tl.where(found, shifted[None, :], 0), 1)
        tl.store(overlaps + (first + rows) * words + word, word_of, here)


@triton.jit
def _or(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return a | b


@triton.jit(do_not_specialize=["count", "words", "top"])
def _walk(
    overlaps: tl.tensor,
    usable: tl.tensor,
    survivors: tl.tensor,
    kept: tl.tensor,
    count: tl.tensor,
    words: tl.tensor,
    top: tl.tensor,
    width: tl.constexpr,
    rows: tl.constexpr,
) -> None:
    """The survivors of an image; ``width`` is a power of two, at least ``words``; ``rows`` are read at once."""
    image = tl.program_id(0).to(tl.int64)
    bits = tl.arange(0, 64).to(tl.int64)
    shifted = tl.full([64], 1, tl.int64) << bits
    columns = tl.arange(0, width)
    dropped = tl.zeros([width], tl.int64)  # bits of boxes that a survivor overlaps
    total = tl.zeros([], tl.int32)
    block = tl.zeros([], tl.int32)
    while (block < words) & (total < top):
        boxes = block * 64 + bits
        there = tl.load(usable + image * count + boxes, boxes < count, 0) != 0
        lines = overlaps + (image * count + boxes) * words
        among = tl.load(lines + block, there, 0)
        alive = tl.sum(tl.where(there, shifted, 0), 0) & ~tl.sum(tl.where(columns == block, dropped, 0), 0)
        before = tl.zeros([], tl.int64)
        now = alive
        while now != before:
            before = now
            now = alive & ~tl.reduce(tl.where((before >> bits) & 1 != 0, among, 0), 0, _or)
        survives = (now >> bits) & 1
        rank = total + tl.cumsum(survives, 0) - 1
        tl.store(survivors + image * top + rank, boxes, (survives != 0) & (rank < top))
        total += tl.sum(survives, 0).to(tl.int32)
        for part in tl.static_range(0, 64, rows):
            some = part + tl.arange(0, rows).to(tl.int64)
            read = ((now >> some) & 1 != 0)[:, None] & (columns > block)[None, :] & (columns < words)[None, :]
            place = (image * count + block * 64 + some)[:, None] * words + columns[None, :]
            dropped |= tl.reduce(tl.load(overlaps + place, read, 0), 0, _or)
        block += 1
    tl.store(kept + image, tl.minimum(total, top).to(tl.int64))
