"""A trained detector, ready to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch

from resdet.data.loader import DetectionBatch
from resdet.data.transforms import DetectionTestTransform
from resdet.inference.images import ImageInput, to_image
from resdet.inference.mode import evaluating
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import Detections, Target, clip_boxes


class Detector:
    """Finds objects in pictures.

    Args:
        model: the network; it is set to eval mode.
        short_side: pictures are resized to this shorter side, pixels …
        max_side: … unless the longer side would exceed this, pixels.
    """

    def __init__(self, model: FasterRCNN, *, short_side: int, max_side: int) -> None:
        self.model = model.eval()
        self.transform = DetectionTestTransform(short_side, max_side)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return self.model.names

    @overload
    def predict(self, images: ImageInput, *, score_thresh: float = 0.0) -> Detections: ...
    @overload
    def predict(self, images: list[Any], *, score_thresh: float = 0.0) -> list[Detections]: ...
    def predict(self, images: ImageInput | list[Any], *, score_thresh: float = 0.0) -> Detections | list[Detections]:
        """Detect the objects of one picture, or of each of several, one at a time.

        Args:
            images: a path, a PIL image or an RGB uint8 array (H, W, 3); or a list of these.
            score_thresh: detections below this score, in [0, 1], are left out.

        Returns:
            Detections on the CPU, boxes in pixels of the original picture (of a file: upright, by its EXIF orientation), best
            first; a list for a list.

        Raises:
            DataError: a file that is missing or no image.
            TypeError: something that is no picture.
        """
        if isinstance(images, list):
            return [self._predict_one(image, score_thresh) for image in images]
        return self._predict_one(images, score_thresh)

    def _predict_one(self, source: ImageInput, score_thresh: float) -> Detections:
        image = to_image(source)
        size = (image.height, image.width)
        empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), size)
        pixels, _ = self.transform(image, empty)
        (found,) = _detect(self.model, [pixels])
        name = str(source) if isinstance(source, (str, Path)) else 0
        return replace(_on_original(found, size), image_id=name).above(score_thresh)


def detect_batches(model: FasterRCNN, batches: Iterable[DetectionBatch]) -> Iterator[Detections]:
    """Detections of every image of ``batches``, in order, in pixels of the original images, on the CPU."""
    for batch in batches:
        found = _detect(model, batch.images)
        for item, target, size in zip(found, batch.targets, batch.original_sizes, strict=True):
            yield replace(_on_original(item, size), image_id=target.image_id)


def _detect(model: FasterRCNN, images: Sequence[torch.Tensor]) -> list[Detections]:
    with evaluating(model):
        return model.detect(images)


def _on_original(found: Detections, size: tuple[int, int]) -> Detections:
    """``found`` on the CPU, in pixels of the original image of ``size`` (height, width)."""
    resized = found.to("cpu").resized(size)
    return replace(resized, boxes=clip_boxes(resized.boxes, size))  # once more: scaling rounds a box past the edge
