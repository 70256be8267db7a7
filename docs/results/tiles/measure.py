"""Recall of a detector in windows and in the whole picture, on mosaics of real photos; prints the table of README.md.

Usage: python measure.py KANGAROO MODEL   (the data in VOC's layout; a model of docs/results/own_data)

A mosaic of 4,000 x 4,000 pixels holds the validation photos at the size that the model wants, side by side, again and again
with another beginning in each row, so that the seams of windows cut objects in all places. Nothing is resized in either way of
searching. The whole mosaic gets as many proposals and detections as all windows together.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import resdet
from resdet.data.formats.voc import read_voc
from resdet.inference.detector import Detector
from resdet.inference.tiles import PROPOSALS, Tiles
from resdet.ops.iou import box_iou

SIDE, SHORT = 4000, 320
SCORE, IOU = 0.5, 0.5
WAYS = ((1024, 0.2, PROPOSALS), (1024, 0.2, 300), (1024, 0.2, 0))


def mosaic(root: Path, seed: int) -> tuple[Image.Image, torch.Tensor]:
    """The picture, and the boxes (N, 4) ``xyxy`` of all objects that lie wholly in it."""
    data = read_voc(root, "val")
    rng = np.random.default_rng(seed)
    canvas, boxes = Image.new("RGB", (SIDE, SIDE)), []
    for top in range(0, SIDE, SHORT):
        left = -int(rng.integers(SHORT))
        for index in rng.permutation(len(data)).tolist() * 2:
            if left >= SIDE:
                break
            photo, target = data.load(index)
            scale = SHORT / photo.height
            small = photo.resize((round(photo.width * scale), SHORT), Image.Resampling.BILINEAR)
            canvas.paste(small, (left, top))
            boxes.append(target.boxes[~target.ignore] * scale + torch.tensor([left, top, left, top]))
            left += small.width
    found = torch.cat(boxes)
    return canvas, found[((found >= 0) & (found <= SIDE)).all(1)]


def recalled(detector: Detector, picture: Image.Image, truth: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Which objects (N,) a detection of their own matches, and how many detections match none."""
    found = detector.predict(picture, score_thresh=SCORE)
    overlap = box_iou(found.boxes, truth)
    hit = torch.zeros(len(truth), dtype=torch.bool)
    wrong = 0
    for row in overlap:  # best scores first
        best = torch.where(hit, -1.0, row).max(0)
        if best.values >= IOU:
            hit[best.indices] = True
        else:
            wrong += 1
    return hit, wrong


def limit_proposals(detector: Detector, limit: int) -> None:
    """Let the RPN propose so many regions of a picture, of twenty times as many anchors."""
    rpn = detector.models[0].rpn
    rpn.test_filter = replace(rpn.test_filter, pre_nms_top_n=20 * limit, post_nms_top_n=limit)


def cut(truth: torch.Tensor, tiles: Tiles) -> torch.Tensor:
    """Which objects (N,) are whole in no window."""
    windows = torch.tensor(tiles.windows((SIDE, SIDE)), dtype=torch.float32)
    inside = (truth[:, None, :2] >= windows[None, :, :2]) & (truth[:, None, 2:] <= windows[None, :, 2:])
    return ~inside.all(2).any(1)


def crossing(truth: torch.Tensor, tiles: Tiles) -> torch.Tensor:
    """Which objects (N,) the side of some window cuts."""
    windows = torch.tensor(tiles.windows((SIDE, SIDE)), dtype=torch.float32)
    meets = (truth[:, None, :2] < windows[None, :, 2:]) & (truth[:, None, 2:] > windows[None, :, :2])
    inside = (truth[:, None, :2] >= windows[None, :, :2]) & (truth[:, None, 2:] <= windows[None, :, 2:])
    return (meets.all(2) & ~inside.all(2)).any(1)


def main() -> None:
    """Print the table."""
    root, file = Path(sys.argv[1]), sys.argv[2]
    picture, truth = mosaic(root, 0)
    whole = resdet.load_detector(file, test={"detections_per_image": 2000})
    whole.transform = replace(whole.transform, short_side=SIDE, max_side=SIDE)
    limit_proposals(whole, 7500)
    expected, wrong = recalled(whole, picture, truth)
    sides = (truth[:, 2:] - truth[:, :2]).max(1).values
    low, high = (float(sides.quantile(share)) for share in (0.05, 0.95))
    print(f"{len(truth)} objects, longer side {low:.0f} to {high:.0f} pixels (90 %)")
    print(f"| whole picture, unresized | {len(truth)} | {int(expected.sum())} | {wrong} | | |", flush=True)
    for side, overlap, proposals in WAYS:
        tiles = Tiles(side, overlap)
        detector = resdet.load_detector(file)
        detector.transform = replace(detector.transform, short_side=side, max_side=side)
        detector.tiles = tiles
        if proposals:
            limit_proposals(detector, proposals)
        hit, wrong = recalled(detector, picture, truth)
        masks = (crossing(truth, tiles) & ~cut(truth, tiles), cut(truth, tiles))
        parts = [f"{int(mask.sum())}: {int(hit[mask].sum())}, whole {int(expected[mask].sum())}" for mask in masks]
        own = detector.models[0].rpn.test_filter.post_nms_top_n
        name = f"--tile {side} --overlap {overlap}, {own} proposals a window"
        cells = [name, str(len(truth)), str(int(hit.sum())), str(wrong), *parts]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
