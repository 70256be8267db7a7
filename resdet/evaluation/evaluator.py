"""Collects a model's outputs image by image and scores them at the end."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resdet.errors import DataError
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.files import ground_truth_of
from resdet.evaluation.ground_truth import GroundTruth, Integers
from resdet.evaluation.score import score_detections
from resdet.structures import Detections


class Evaluator(Protocol):
    """What every evaluator can do: reset, process outputs batch by batch, and compute the metrics."""

    def reset(self) -> None:
        """Forget all outputs."""

    def process(self, *args: Any, **kwargs: Any) -> None:
        """Take in the outputs of a batch."""

    def evaluate(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""


class CocoEvaluator:
    """Keeps detections as arrays and scores them against a COCO-format ground truth.

    Args:
        ground_truth: the images to score, from whatever source: a ``GroundTruth`` or a COCO-format dict.
        category_ids: the ground truth's category id of each label 0 … K-1.
        names: the class name of each label.
        metrics: "coco", and at most one of "voc07" and "voc10".
        backend: the code that computes "coco": "hotcoco" or "pycocotools".

    Raises:
        DataError: with every problem of a dict, or when a label's category id is not in the ground truth, or has another name
            there.
    """

    def __init__(
        self,
        ground_truth: GroundTruth | Mapping[str, Any],
        category_ids: Sequence[int],
        names: Sequence[str],
        metrics: Sequence[str] = ("coco",),
        backend: str = "hotcoco",
    ) -> None:
        if len(category_ids) != len(names):
            raise ValueError(f"CocoEvaluator needs a category id for each name, got {len(category_ids)} and {len(names)}")
        self.truth = ground_truth_of(ground_truth)
        known = dict(zip(self.truth.category_ids, self.truth.names, strict=True))
        problems = [
            f"class {label} {name!r}: the ground truth's category {key} is {repr(known[key]) if key in known else 'missing'}"
            for label, (name, key) in enumerate(zip(names, category_ids, strict=True))
            if known.get(key) not in (name, f"{name} [{key}]")  # equal names carry their id, see ``distinct_names``
        ]
        if problems:
            raise DataError(problems)
        self.category_ids = tuple(category_ids)
        self.names = tuple(names)
        self.metrics = tuple(metrics)
        self.backend = backend
        self._image_index = {key: index for index, key in enumerate(self.truth.image_ids)}
        self._category_index = np.array([self.truth.category_ids.index(key) for key in category_ids], dtype=np.int64)
        self.reset()

    def reset(self) -> None:
        """Forget all detections."""
        self._found: dict[int, tuple[Tensor, Integers]] = {}

    def process(self, detections: Iterable[Detections]) -> None:
        """Take in the detections of some images, each image once.

        Raises:
            DataError: for an image that the ground truth does not have.
            ValueError: for an image that was processed before (it would count twice), or a label outside 0 … K-1.
        """
        for item in detections:
            image = self._image_index.get(item.image_id)
            if image is None:
                raise DataError(f"detections of image {item.image_id!r}: the ground truth has no such image")
            if image in self._found:
                raise ValueError(f"detections of image {item.image_id!r} were processed before")
            labels = item.labels.detach().cpu().numpy()
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.names):
                raise ValueError(f"labels must be in 0 … {len(self.names) - 1}, got {labels.min()} … {labels.max()}")
            table = torch.cat([item.boxes, item.scores[:, None]], dim=1)  # one array: one transfer from a GPU
            self._found[image] = (table.detach().cpu(), self._category_index[labels])

    def results(self) -> dict[str, npt.NDArray[Any]]:
        """All detections as columns of COCO results, the content of ``detections.json``; "bbox" (D, 4) in float64."""
        return self.columns().to_results(self.truth)

    def evaluate(self) -> dict[str, Any]:
        """Score everything processed; see ``score_detections``.

        Images that were never processed count as images without detections, with a warning.

        Raises:
            DataError: when a box or a score is not finite.
        """
        total = len(self._image_index)
        missing = total - len(self._found)
        if missing:
            warnings.warn(f"{missing} of {total} images were never processed: their objects count as missed", stacklevel=2)
        return score_detections(self.truth, self.columns().checked(self.truth), self.metrics, self.backend)

    def columns(self) -> DetectionColumns:
        """All detections as columns; boxes ``x, y, width, height``."""
        tables = [table for table, _ in self._found.values()]
        categories = [found for _, found in self._found.values()]
        numbers = torch.cat([torch.zeros(0, 5), *tables]).double().numpy()
        counts = [len(table) for table in tables]
        # x2 - x1 in float64, as in Detections.to_coco, so that a saved file scores exactly as these arrays do
        return DetectionColumns(
            image=np.repeat(np.array(list(self._found), dtype=np.int64), counts),
            category=np.concatenate([np.zeros(0, np.int64), *categories]),
            boxes=np.concatenate([numbers[:, :2], numbers[:, 2:4] - numbers[:, :2]], axis=1),
            scores=numbers[:, 4].copy(),
        )
