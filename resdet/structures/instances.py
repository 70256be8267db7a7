"""What an image holds (``Target``) and what a detector says it holds (``Detections``), checked on construction.

Legend: N objects; boxes float32 (N, 4) ``xyxy`` in pixels; labels int64 (N,) in 0 … K-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from resdet.errors import DataError
from resdet.ops.precision import in_float64
from resdet.structures.boxes import scale_boxes, xyxy_to_xywh
from resdet.structures.drawing import class_color, draw_boxes


def _no_flags() -> Tensor:
    return torch.zeros(0, dtype=torch.bool)


@dataclass(frozen=True)
class Target:
    """The ground truth of one image.

    Attributes:
        boxes: float32 (N, 4) ``xyxy``, pixels of an image of ``size``; (0, 4) for an image without objects.
        labels: int64 (N,), 0 … K-1.
        size: (height, width) in pixels of the image that the boxes belong to.
        image_id: the data set's own name of the image.
        path: the image file, for messages.
        ignore: bool (N,), objects that are neither positive nor negative: COCO's crowds, VOC's difficult ones.

    Raises:
        DataError: on a wrong shape or dtype, a non-finite coordinate, an empty or reversed box, a negative label; it names
            the image and the row.
    """

    boxes: Tensor
    labels: Tensor
    size: tuple[int, int]
    image_id: int | str = 0
    path: str = ""
    ignore: Tensor = field(default_factory=_no_flags)

    def __post_init__(self) -> None:
        count = len(self.labels)
        if count and not len(self.ignore):
            object.__setattr__(self, "ignore", torch.zeros(count, dtype=torch.bool))
        where = f"target of {self.path or f'image {self.image_id}'}"
        problems = []
        if self.boxes.shape != (count, 4) or self.boxes.dtype != torch.float32:
            problems.append(f"boxes must be float32 ({count}, 4), got {self.boxes.dtype} {tuple(self.boxes.shape)}")
        if self.labels.ndim != 1 or self.labels.dtype != torch.int64:
            problems.append(f"labels must be int64 (N,), got {self.labels.dtype} {tuple(self.labels.shape)}")
        if self.ignore.shape != self.labels.shape or self.ignore.dtype != torch.bool:
            problems.append(f"ignore must be bool ({count},), got {self.ignore.dtype} {tuple(self.ignore.shape)}")
        if min(self.size) <= 0:
            problems.append(f"size must be positive (height, width), got {self.size}")
        if not problems and count:
            bad = ~torch.isfinite(self.boxes).all(1) | (self.boxes[:, 2:] <= self.boxes[:, :2]).any(1) | (self.labels < 0)
            problems = [
                f"object {row}: needs finite x1 < x2, y1 < y2 and a label >= 0, "
                f"got box {self.boxes[row].tolist()}, label {int(self.labels[row])}"
                for row in bad.nonzero()[:, 0].tolist()
            ]
        if problems:
            raise DataError([f"{where}: {problem}" for problem in problems])

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: object) -> Target:
        """The same target with its tensors on ``device``; itself when they are there."""
        if self.boxes.device == device:
            return self
        return replace(
            self,
            boxes=self.boxes.to(device),  # type: ignore[call-overload]
            labels=self.labels.to(device),  # type: ignore[call-overload]
            ignore=self.ignore.to(device),  # type: ignore[call-overload]
        )


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image, best score first.

    Attributes:
        boxes: float32 (N, 4) ``xyxy``, pixels of the original image.
        scores: float32 (N,), probabilities in [0, 1].
        labels: int64 (N,), 0 … K-1, indices into ``names``.
        size: (height, width) in pixels of the original image.
        names: the K class names.
        image_id: the data set's own name of the image.

    Raises:
        ValueError: from the constructor, when the lengths differ.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    size: tuple[int, int]
    names: Sequence[str] = ()
    image_id: int | str = 0

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.scores.ndim != 1 or self.labels.shape != (count,):
            raise ValueError(
                f"Detections needs boxes (N, 4), scores (N,) and labels (N,), got {tuple(self.boxes.shape)}, "
                f"{tuple(self.scores.shape)} and {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Those with a score of at least ``score``, in [0, 1]."""
        keep = self.scores >= score
        return replace(self, boxes=self.boxes[keep], scores=self.scores[keep], labels=self.labels[keep])

    def resized(self, size: tuple[int, int]) -> Detections:
        """The same detections on the same image at another ``size`` (height, width)."""
        return replace(self, boxes=scale_boxes(self.boxes, self.size, size), size=size)

    def to(self, device: object) -> Detections:
        """The same detections with their tensors on ``device``."""
        return replace(
            self,
            boxes=self.boxes.to(device),  # type: ignore[call-overload]
            scores=self.scores.to(device),  # type: ignore[call-overload]
            labels=self.labels.to(device),  # type: ignore[call-overload]
        )

    def draw(self, image: Image.Image, text_size: int | None = None) -> Image.Image:
        """A copy of ``image``, of any size, with the boxes, class names and scores on it; ``text_size`` in pixels."""
        rows = zip(self.labels.tolist(), self.scores.tolist(), strict=True)
        captions = [f"{self.names[label] if self.names else label} {score:.2f}" for label, score in rows]
        colors = [class_color(label) for label in self.labels.tolist()]
        boxes = scale_boxes(self.boxes.cpu(), self.size, (image.height, image.width))
        return draw_boxes(image, boxes, captions, colors, text_size)

    def to_coco(self, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """COCO result rows: ``{"image_id", "category_id", "bbox": [x, y, w, h], "score"}``, floats unrounded.

        Args:
            category_ids: the file's category id of each label; label + 1 when it is not given.
        """
        boxes = xyxy_to_xywh(in_float64(self.boxes)).tolist()
        labels = self.labels.tolist()
        ids = [label + 1 for label in labels] if category_ids is None else [category_ids[label] for label in labels]
        return [
            {"image_id": self.image_id, "category_id": category, "bbox": box, "score": score}
            for category, box, score in zip(ids, boxes, self.scores.tolist(), strict=True)
        ]
