"""The batches that a loader gives to training and testing: some images, and the annotations of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from typing import Any, TypeVar

from torch import Tensor

from resdet.distributed.share import Share, pieces
from resdet.structures import Target
from resdet.structures.moving import moved

LoadedBatchT = TypeVar("LoadedBatchT", bound="LoadedBatch")


@dataclass(frozen=True)
class LoadedBatch:
    """A batch. Each field of its own is a sequence with an entry for each image, or empty, or None.

    Attributes:
        share: the share of a larger batch that this is; None: it is whole.
    """

    share: Share | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(next(getattr(self, each.name) for each in fields(self) if each.name != "share"))

    @property
    def names(self) -> list[str]:
        """The image files."""
        return list(getattr(self, "paths", ()))

    def split(self: LoadedBatchT, parts: int) -> list[LoadedBatchT]:
        """At most ``parts`` batches of consecutive images, none empty, of nearly equal length; a ValueError below 1 part.

        A share is cut as it was taken, into its shares of the parts of the whole batch, whatever ``parts`` says.
        """
        columns = {name: value for name, value in vars(self).items() if name != "share" and value is not None}
        cuts, shares = pieces(len(self), parts), list[Share]()
        if self.share is not None:
            shares = self.share.split()
            ends = list(accumulate(map(len, shares), initial=0))
            cuts = list(map(slice, ends, ends[1:]))
        return [
            replace(self, share=shares[number] if shares else None, **{name: value[cut] for name, value in columns.items()})
            for number, cut in enumerate(cuts)
        ]

    def to(self: LoadedBatchT, device: object) -> LoadedBatchT:
        """The same batch with its tensors on ``device``, except those of targets, which ``TargetBatch`` moves all at once."""

        def move(value: Tensor | Target) -> Tensor | Target:
            return value if isinstance(value, Target) else moved(value, device)

        return replace(self, **{name: _each(move, value) for name, value in vars(self).items()})

    def pin_memory(self: LoadedBatchT) -> LoadedBatchT:
        """The same batch with its tensors (except those of targets) in pinned memory, from which a GPU copies on its own.

        This is the method that torch's loader looks for.
        """

        def pin(value: Tensor | Target) -> Tensor | Target:
            return value if isinstance(value, Target) else value.pin_memory()

        return replace(self, **{name: _each(pin, value) for name, value in vars(self).items()})


@dataclass(frozen=True)
class DetectionBatch(LoadedBatch):
    """Images of different sizes and what they hold.

    Attributes:
        images: uint8 (3, H_i, W_i), RGB.
        targets: the targets of the images, boxes in pixels of these tensors.
        original_sizes: (height, width) of the images before the transform, pixels.
        pyramid: for each image uint8 (3, H, W), the original at several scales; None where the view makes none.
        proposals: float32 (R_i, 4) ``xyxy``, precomputed regions in pixels of ``images``; None where the view has none.
    """

    images: list[Tensor]
    targets: list[Target]
    original_sizes: list[tuple[int, int]] = field(default_factory=list)
    pyramid: list[list[Tensor]] | None = None
    proposals: list[Tensor] | None = None

    @property
    def names(self) -> list[str]:
        """The image files, each with the data set's id of the image."""
        return [f"{target.path} (image id {target.image_id})" for target in self.targets]


@dataclass(frozen=True)
class ClassificationBatch(LoadedBatch):
    """Images of one size and their labels.

    Attributes:
        images: uint8 (N, 3, H, W), RGB.
        labels: int64 (N,), 0 … K-1.
        paths: the image files.
    """

    images: Tensor
    labels: Tensor
    paths: tuple[str, ...]


@dataclass(frozen=True)
class LocalizationBatch(LoadedBatch):
    """Images of one size, their classes, and the boxes of these.

    Attributes:
        images: uint8 (N, 3, S, S), RGB.
        labels: int64 (N,), 0 … K-1.
        boxes: for each image float32 (B_i, 4) ``xyxy``, pixels of the tensor; (0, 4) where no box is known, or in sight.
        paths: the image files.
    """

    images: Tensor
    labels: Tensor
    boxes: list[Tensor]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class RegionBatch(LoadedBatch):
    """Warped regions of images, each with the class of its image.

    Attributes:
        images: uint8 RGB (R, 3, S, S).
        labels: int64 (R,).
        positive: bool (R,), whether a region shows an object of that class.
        references: float32 (R, 4) ``xyxy``, where the regions are in the image.
        boxes: float32 (R, 4) ``xyxy``, the objects' boxes there; for a negative region, the region itself.
        paths: the image files.
    """

    images: Tensor
    labels: Tensor
    positive: Tensor
    references: Tensor
    boxes: Tensor
    paths: tuple[str, ...]


def _each(change: Callable[[Tensor | Target], Tensor | Target], value: Any) -> Any:
    """``value`` with its tensors and targets changed, in lists too."""
    if isinstance(value, (Tensor, Target)):
        return change(value)
    return [_each(change, item) for item in value] if isinstance(value, list) else value
