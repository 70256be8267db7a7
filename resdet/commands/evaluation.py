"""A config's validation set and the numbers of a model on it: for ``eval``, and for the trainers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resdet.config.schema import ClassificationDataConfig, DetectionDataConfig
from resdet.data.catalog import build_classification_dataset, build_dataset
from resdet.data.loader import ClassificationView, DetectionView, test_loader
from resdet.data.transforms import ClassificationTestTransform, DetectionTestTransform
from resdet.evaluation.evaluator import CocoEvaluator
from resdet.evaluation.topk import TopK
from resdet.files import atomic_write
from resdet.inference.classifier import classify_batches
from resdet.inference.detector import detect_batches
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.report.draw import Sample, contact_sheet
from resdet.report.results import write_detections, write_metrics
from resdet.report.tables import metrics_table
from resdet.structures import Detections

_SHOWN = 8


class DetectorEvaluation:
    """The evaluation of detectors on a config's validation set.

    Args:
        data: the data section.
        names: the detector's class names, in label order.
        backend: who computes COCO's numbers, hotcoco or pycocotools.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or of other classes.
    """

    def __init__(self, data: DetectionDataConfig, names: Sequence[str], backend: str = "hotcoco") -> None:
        dataset = build_dataset([data.val], names, option="data.val")
        metrics = ("coco",) if data.metric == "coco" else ("coco", data.metric)
        self.evaluator = CocoEvaluator(dataset.ground_truth(), dataset.category_ids, dataset.names, metrics, backend)
        self.view = DetectionView(dataset, DetectionTestTransform(data.test_short_side, data.max_side))
        self.workers = data.workers
        self.metrics: dict[str, Any] = {}
        # pictures for the report, spread over the set
        self.shown: dict[int, Detections | None] = {index * len(dataset) // _SHOWN: None for index in range(_SHOWN)}

    def run(self, model: FasterRCNN) -> dict[str, Any]:
        """Detect on every image and return the metrics, as in ``metrics.json``."""
        self.evaluator.reset()
        for index, found in enumerate(detect_batches(model, test_loader(self.view, self.workers))):
            self.evaluator.process([found])
            if index in self.shown:
                self.shown[index] = found
        self.metrics = self.evaluator.evaluate()
        return self.metrics

    def write(self, model: FasterRCNN, folder: Path) -> dict[str, Any]:
        """Write metrics, detections and a sheet of pictures, and print the table; evaluates unless ``run`` has."""
        metrics = self.metrics or self.run(model)
        paths = [write_metrics(folder, metrics), write_detections(folder, self.evaluator.results())]
        samples = [
            Sample(*self.view.dataset.load(index), found, model.names)
            for index, found in self.shown.items()
            if found is not None
        ]
        if samples:
            sheet = contact_sheet(samples)
            paths.append(folder / "report" / "detections.png")
            atomic_write(paths[-1], lambda temporary: sheet.save(temporary, format="PNG"))
        print(metrics_table(metrics))
        print(f"written: {', '.join(map(str, paths))}", file=sys.stderr)
        return metrics


class ClassifierEvaluation:
    """The evaluation of classifiers on a config's validation set, single centre crops.

    Args:
        data: the data section.
        names: the classifier's class names, in label order.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or of other classes.
    """

    def __init__(self, data: ClassificationDataConfig, names: Sequence[str]) -> None:
        dataset = build_classification_dataset(data.val, names, option="data.val")
        self.view = ClassificationView(dataset, ClassificationTestTransform(data.test_short_side, data.crop))
        self.workers = data.workers
        self.evaluator = TopK(names)
        self.metrics: dict[str, Any] = {}

    def run(self, model: Classifier) -> dict[str, Any]:
        """Classify every image and return the metrics, as in ``metrics.json``."""
        self.evaluator.reset()
        for logits, labels in classify_batches(model, test_loader(self.view, self.workers, batch=32)):
            self.evaluator.process(logits, labels)
        self.metrics = self.evaluator.evaluate()
        return self.metrics

    def write(self, model: Classifier, folder: Path) -> dict[str, Any]:
        """Write ``metrics.json`` and print the table; evaluates unless ``run`` has."""
        metrics = self.metrics or self.run(model)
        path = write_metrics(folder, metrics)
        print(metrics_table(metrics))
        print(f"written: {path}", file=sys.stderr)
        return metrics
