"""Exported networks, with those parts of the interface of torch's that prediction and evaluation use.

Legend: N images, K classes, Q classes asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resdet.errors import DataError
from resdet.inference.exported.program import Program
from resdet.models.model_file import ModelCard
from resdet.structures import Detections, PixelConvention


class ExportedNetwork(nn.Module):
    """A network that another runtime computes, on the CPU.

    Args:
        program: the opened file.

    Attributes:
        names: the K class names, in label order.
        pixels: what the network inside expects; the file's inputs are RGB bytes.
        card: of the model that the file was made of.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.card: ModelCard = program.card
        self.names = tuple(program.card.names)
        self.pixels = PixelConvention.from_dict(program.card.pixels)
        # holds nothing; those who ask a network's parameters where its inputs go learn that it is the CPU
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)


class ExportedDetector(ExportedNetwork):
    """A whole detector: what is found is decided inside."""

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return self.place.device

    @property
    def score_thresh(self) -> float:
        """The score that all detections are above, in [0, 1]."""
        return float(self.program.config.test.score_thresh)

    def detect(self, images: Sequence[Tensor]) -> list[Detections]:
        """``FasterRCNN.detect``: detections of N RGB uint8 images (3, H_i, W_i), in pixels of these images, best first."""
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        if not self.program.facts.resizes:
            return self._detections(self.program({"images": _padded(images), "sizes": np.array(sizes, np.int64)}), sizes)
        # of images of any size those that are alike could go together; they come one by one
        return [
            found
            for image, size in zip(images, sizes, strict=True)
            for found in self._detections(self.program({"images": _padded([image])}), [size])
        ]

    def _detections(self, found: dict[str, NDArray[Any]], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        boxes, scores, labels, counts = (found[name] for name in ("boxes", "scores", "labels", "counts"))
        most = scores.shape[1]
        if boxes.shape != (len(sizes), most, 4) or labels.shape != scores.shape or counts.shape != (len(sizes),):
            raise DataError(f"{self.program.path}: its outputs do not fit each other, nor {len(sizes)} images")
        if counts.min() < 0 or counts.max() > most:
            raise DataError(f"{self.program.path}: its 'counts' must be in 0 … {most}, got {counts.tolist()}")
        results = []
        for row, (size, count) in enumerate(zip(sizes, counts.tolist(), strict=True)):
            own = labels[row, :count]
            if count and not 0 <= own.min() <= own.max() < len(self.names):
                raise DataError(f"{self.program.path}: its labels must be in 0 … {len(self.names) - 1}, got {own.tolist()}")
            parts = (torch.tensor(boxes[row, :count]), torch.tensor(scores[row, :count]), torch.tensor(own, dtype=torch.int64))
            results.append(Detections(*parts, size, self.names))
        return results


class ExportedClassifier(ExportedNetwork):
    """A whole classifier."""

    def forward(self, images: Tensor) -> Tensor:
        """RGB uint8 images (N, 3, H, W) to logits float32 (N, K)."""
        logits = self.program({"images": images.permute(0, 2, 3, 1).contiguous().numpy()})["logits"]
        if logits.shape != (len(images), len(self.names)):
            raise DataError(f"{self.program.path}: its logits must be {(len(images), len(self.names))}, got {logits.shape}")
        return torch.tensor(logits)


class ExportedLocalizer(ExportedNetwork):
    """A whole per-class RPN: of each class it gives the one box that its anchors have voted for."""

    def best(self, image: Tensor, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The boxes float32 (Q, 1, 4) ``xyxy`` of some classes in an image uint8 (3, H, W), and their probabilities (Q, 1)."""
        found = self.program({"images": _padded([image]), "classes": np.array([list(classes)], np.int64)})
        boxes, scores = found["boxes"], found["scores"]
        if boxes.shape != (1, len(classes), 4) or scores.shape != (1, len(classes)):
            raise DataError(f"{self.program.path}: its outputs {boxes.shape}, {scores.shape} do not fit {len(classes)} classes")
        return torch.tensor(boxes[0])[:, None], torch.tensor(scores[0])[:, None]


def _padded(images: Sequence[Tensor]) -> NDArray[np.uint8]:
    """Images (3, H_i, W_i) as one array (N, H, W, 3), zeros right of them and below."""
    height, width = (max(int(image.shape[side]) for image in images) for side in (-2, -1))
    batch = np.zeros((len(images), height, width, 3), np.uint8)
    for slot, image in zip(batch, images, strict=True):
        slot[: image.shape[-2], : image.shape[-1]] = image.cpu().numpy().transpose(1, 2, 0)
    return batch
