"""The objects of several images as padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from resdet.structures.moving import moved
from resdet.structures.target import Target


@dataclass(frozen=True)
class TargetBatch:
    """The ground truth of N images, for work on all of them at once.

    The rows after an image's own are zeros. They are empty boxes that overlap nothing, so nothing is ever matched to them.

    Attributes:
        boxes: float32 (N, G, 4) ``xyxy``, objects to be found; G is the largest number of an image.
        labels: int64 (N, G), 0 … K-1.
        counts: the number of objects of each image.
        largest_labels: the largest label of each image, -1 without an object.
        ignore: float32 (N, I, 4) ``xyxy``, crowds and difficult objects.
        sizes: (height, width) of each image in pixels.
        paths: the image files, for messages.
    """

    boxes: Tensor
    labels: Tensor
    counts: list[int]
    largest_labels: list[int]
    ignore: Tensor
    sizes: list[tuple[int, int]]
    paths: list[str]

    @classmethod
    def from_targets(cls, targets: Sequence[Target], device: object = None) -> TargetBatch:
        """Stack the targets of N >= 1 images and move them to ``device``, all boxes at once.

        Targets in the processor's memory are best: on a GPU the host would wait to learn how many are ignored.
        """

        def stack(rows: list[Tensor]) -> Tensor:
            return moved(pad_sequence(rows, batch_first=True), device)

        boxes = [target.boxes[~target.ignore] for target in targets]
        labels = [target.labels[~target.ignore] for target in targets]
        return cls(
            stack(boxes),
            stack(labels),
            [len(own) for own in boxes],
            [int(own.max()) if len(own) else -1 for own in labels],
            stack([target.boxes[target.ignore] for target in targets]),
            [target.size for target in targets],
            [target.path for target in targets],
        )
