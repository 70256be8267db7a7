"""Detection in large pictures: in overlapping windows and in the whole picture, merged across the seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from resdet.errors import ConfigError
from resdet.inference.windowed_file import WindowedFile
from resdet.ops.boxes import scale_boxes
from resdet.ops.iou import box_ioa, box_iou
from resdet.progress import track
from resdet.structures import Detections

Window = tuple[int, int, int, int]  # xyxy, pixels

# regions of a window, at least, for it may hold more than the photos that a model was trained for (docs/results/tiles)
PROPOSALS = 600
_EDGE = 2.0  # pixels; a box so near to the seam of its window is taken for cut by it
_COVERED = 0.5  # of a cut box's area inside another box of its class: it is a piece of that


@dataclass(frozen=True)
class Tiles:
    """Windows that cover a picture.

    Attributes:
        side: width and height of a window, pixels.
        overlap: the share of a window, at least, that its neighbour also covers. An object no larger than that is whole in one.
        nms_thresh: of boxes of a class that overlap by more the better one stays, in [0, 1].

    Raises:
        ConfigError: from the constructor: a side below 32, or an overlap outside [0, 0.9].
    """

    side: int
    overlap: float = 0.2
    nms_thresh: float = 0.5

    def __post_init__(self) -> None:
        problems = []
        if self.side < 32:
            problems.append(f"tiles need a side of at least 32 pixels, got {self.side}")
        if not 0 <= self.overlap <= 0.9:
            problems.append(f"tiles need an overlap in [0, 0.9], got {self.overlap}")
        if problems:
            raise ConfigError(problems)

    def windows(self, size: tuple[int, int]) -> list[Window]:
        """The windows of a picture of ``size`` (height, width), row by row, all of one size; none leaves the picture."""
        rows, columns = (self._starts(extent) for extent in size)
        height, width = (min(self.side, extent) for extent in size)
        return [(x, y, x + width, y + height) for y in rows for x in columns]

    def _starts(self, extent: int) -> list[int]:
        if extent <= self.side:
            return [0]
        step = max(1, int(self.side * (1 - self.overlap)))
        count = -(-(extent - self.side) // step) + 1
        return [round(number * (extent - self.side) / (count - 1)) for number in range(count)]


def detect_in_tiles(
    detect: Callable[[Image.Image], Detections], image: Image.Image, tiles: Tiles, large: WindowedFile | None = None
) -> Detections:
    """Detections of a picture and of its windows, merged, best first.

    The whole picture, which the detector shrinks more, shows what is larger than a window. Of a picture that fits into one
    window nothing else is asked for. The limit of detections a picture is one for each window.

    Args:
        detect: the detections of a picture, in its pixels.
        image: RGB.
        tiles: the windows.
        large: the picture, where it is not decoded whole and ``image`` is a smaller copy.

    Raises:
        DataError: ``large`` is damaged in one of the windows.
    """
    full = large or image
    size = (full.height, full.width)
    windows = tiles.windows(size)
    whole = detect(image)
    if large:
        whole = replace(whole, boxes=scale_boxes(whole.boxes, whole.size, size), size=size)
    if len(windows) == 1:
        return whole
    found, cut = [whole], [torch.zeros(len(whole), dtype=torch.bool)]
    for window in track(windows, len(windows), "windows"):
        own = detect(full.crop(window))
        cut.append(_cut(own.boxes, window, size))
        x, y = window[:2]
        found.append(replace(own, boxes=own.boxes + own.boxes.new_tensor([x, y, x, y]), size=size))
    together = _joined(found, whole)
    keep = merged(together.boxes, together.scores, together.labels, torch.cat(cut), tiles.nms_thresh)
    return together[keep]


def merged(boxes: Tensor, scores: Tensor, labels: Tensor, cut: Tensor, nms_thresh: float) -> Tensor:
    """Which detections of several windows stay: int64 (M,), best score first.

    Boxes that no seam cuts are taken first, so that a piece, however sure, does not displace the whole object. A box is dropped
    where it overlaps one of its class that stays by more than ``nms_thresh``; a cut one also where half of it lies in one.

    Args:
        boxes: float (N, 4) ``xyxy``, pixels of the picture.
        scores: float (N,).
        labels: int64 (N,).
        cut: bool (N,), whether the seam of its window cuts the box.
        nms_thresh: in [0, 1].
    """
    kept: list[Tensor] = []
    for label in labels.unique():
        mine = (labels == label).nonzero()[:, 0]
        # stable sorts: by score, and then the whole ones first
        mine = mine[scores[mine].argsort(descending=True, stable=True)]
        mine = mine[cut[mine].to(torch.int8).argsort(stable=True)]
        stays = torch.zeros(0, dtype=torch.int64)
        for index in mine.tolist():
            others = boxes[stays]
            if len(others):
                if bool((box_iou(boxes[index, None], others) > nms_thresh).any()):
                    continue
                if cut[index] and float(box_ioa(boxes[index, None], others).max()) >= _COVERED:
                    continue
            stays = torch.cat([stays, torch.tensor([index])])
        kept.append(stays)
    keep = torch.cat(kept) if kept else torch.zeros(0, dtype=torch.int64)
    return keep[scores[keep].argsort(descending=True, stable=True)]


def _cut(boxes: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """Which boxes, in pixels of their window, end at a side of it that is not a side of the picture."""
    x1, y1, x2, y2 = window
    height, width = size
    inner = torch.tensor([x1 > 0, y1 > 0, x2 < width, y2 < height])
    near = torch.cat([boxes[:, :2] <= _EDGE, boxes[:, 2:] >= boxes.new_tensor([x2 - x1, y2 - y1]) - _EDGE], dim=1)
    return (near & inner).any(1)


def _joined(found: Sequence[Detections], like: Detections) -> Detections:
    return replace(
        like,
        boxes=torch.cat([each.boxes for each in found]),
        scores=torch.cat([each.scores for each in found]),
        labels=torch.cat([each.labels for each in found]),
    )
