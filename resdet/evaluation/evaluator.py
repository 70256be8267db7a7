"""Gathering a model's outputs image by image and scoring them at the end."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from resdet.errors import DataError
from resdet.evaluation.ground_truth import Floats, Integers
from resdet.evaluation.score import score_detections
from resdet.structures import Detections


class Evaluator(Protocol):
    """What every evaluator does: forget, take in outputs batch by batch, and say the numbers."""

    def reset(self) -> None:
        """Forget all outputs."""

    def process(self, *args: Any, **kwargs: Any) -> None:
        """Take in the outputs of a batch."""

    def evaluate(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""


class CocoEvaluator:
    """Keeps detections as arrays and scores them against a COCO-format ground truth.

    Args:
        ground_truth: COCO-format dict: the images to score, from whatever source.
        category_ids: the ground truth's category id of each label 0 … K-1.
        names: the class name of each label.
        metrics: "coco", and at most one of "voc07" and "voc10".
        backend: of "coco": "hotcoco" or "pycocotools".

    Raises:
        DataError: when a label's category id is not in the ground truth, or has another name there.
    """

    def __init__(
        self,
        ground_truth: Mapping[str, Any],
        category_ids: Sequence[int],
        names: Sequence[str],
        metrics: Sequence[str] = ("coco",),
        backend: str = "hotcoco",
    ) -> None:
        if len(category_ids) != len(names):
            raise ValueError(f"CocoEvaluator needs a category id for each name, got {len(category_ids)} and {len(names)}")
        known = {row["id"]: row.get("name") for row in ground_truth["categories"]}
        problems = [
            f"class {label} {name!r}: the ground truth's category {key} is {repr(known[key]) if key in known else 'missing'}"
            for label, (name, key) in enumerate(zip(names, category_ids, strict=True))
            if known.get(key) != name
        ]
        if problems:
            raise DataError(problems)
        self.ground_truth = ground_truth
        self.category_ids = tuple(category_ids)
        self.names = tuple(names)
        self.metrics = tuple(metrics)
        self.backend = backend
        self._image_ids = {row["id"] for row in ground_truth["images"]}
        self.reset()

    def reset(self) -> None:
        """Forget all detections."""
        self._found: dict[int | str, tuple[Floats, Floats, Integers]] = {}

    def process(self, detections: Iterable[Detections]) -> None:
        """Take in the detections of some images, each image once.

        Raises:
            DataError: for an image that the ground truth does not have.
            ValueError: for an image that was there before (it would count twice), or a label outside 0 … K-1.
        """
        for item in detections:
            if item.image_id not in self._image_ids:
                raise DataError(f"detections of image {item.image_id!r}: the ground truth has no such image")
            if item.image_id in self._found:
                raise ValueError(f"detections of image {item.image_id!r} were processed before")
            boxes = item.boxes.detach().cpu().double().numpy()
            labels = item.labels.detach().cpu().numpy()
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.names):
                raise ValueError(f"labels must be in 0 … {len(self.names) - 1}, got {labels.min()} … {labels.max()}")
            # x2 - x1 in float64, as Detections.to_coco has it: a saved file scores exactly as this memory does
            xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
            self._found[item.image_id] = (xywh, item.scores.detach().cpu().double().numpy(), labels)

    def results(self) -> list[dict[str, Any]]:
        """All detections as COCO results, the content of ``detections.json``."""
        columns = self._columns()
        columns |= {"bbox": columns["bbox"].tolist(), "score": columns["score"].tolist()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def evaluate(self) -> dict[str, Any]:
        """Score everything processed; see ``score_detections``.

        Images that were never processed count as without detections, with a warning.

        Raises:
            DataError: with every problem of the ground truth, or when a box or a score is not finite.
        """
        missing = len(self._image_ids) - len(self._found)
        if missing:
            total = len(self._image_ids)
            warnings.warn(f"{missing} of {total} images were never processed: their objects count as missed", stacklevel=2)
        return score_detections(self.ground_truth, self._columns(), self.metrics, self.backend)

    def _columns(self) -> dict[str, Any]:
        parts = list(self._found.values())
        labels = [label for _, _, found in parts for label in found.tolist()]
        return {
            "image_id": [image for image, (_, scores, _) in self._found.items() for _ in range(len(scores))],
            "category_id": [self.category_ids[label] for label in labels],
            "bbox": np.concatenate([np.zeros((0, 4)), *(boxes for boxes, _, _ in parts)]),
            "score": np.concatenate([np.zeros(0), *(scores for _, scores, _ in parts)]),
        }
