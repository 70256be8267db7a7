"""The ground truth of an image, checked on construction.

Legend: N objects; boxes float32 (N, 4) ``xyxy`` in pixels; labels int64 (N,) in 0 … K-1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from resdet.errors import DataError
from resdet.structures.choosing import same_fields


def _no_flags() -> Tensor:
    return torch.zeros(0, dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class Target:
    """The ground truth of one image.

    Attributes:
        boxes: float32 (N, 4) ``xyxy``, pixels of an image of ``size``; (0, 4) for an image without objects.
        labels: int64 (N,), 0 … K-1.
        size: (height, width) in pixels of the image that the boxes belong to.
        image_id: the data set's id of the image.
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

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Target) else NotImplemented

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: object) -> Target:
        """The same target with its tensors on ``device``; the target itself when they are there already."""
        if self.boxes.device == device:
            return self
        return replace(
            self,
            boxes=self.boxes.to(device),  # type: ignore[call-overload]
            labels=self.labels.to(device),  # type: ignore[call-overload]
            ignore=self.ignore.to(device),  # type: ignore[call-overload]
        )
