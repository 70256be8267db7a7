"""A config's validation set and the numbers of a model on it: for ``eval``, and for the trainers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from resdet.config import config_to_dict
from resdet.config.schema import (
    ClassificationDataConfig,
    ClassificationTestConfig,
    DetectionDataConfig,
    DetectionTestConfig,
)
from resdet.data.catalog import build_classification_dataset, build_dataset, source_proposals
from resdet.data.formats.voc import image_names
from resdet.data.loading.loader import test_loader
from resdet.data.loading.views import DetectionView
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.evaluation.classification import evaluate_predictions
from resdet.evaluation.evaluator import CocoEvaluator
from resdet.evaluation.ground_truth import GroundTruth
from resdet.evaluation.predictions import Predictions, average_predictions, normalized_shares
from resdet.evaluation.voc_files import write_voc_results
from resdet.files import atomic_write
from resdet.inference.classifier import classify_dataset
from resdet.inference.detector import detect_batches
from resdet.inference.load import improvements_of
from resdet.inference.views import Views
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.report.classification import write_classification
from resdet.report.draw import Sample, contact_sheet
from resdet.report.results import write_detections, write_metrics
from resdet.report.tables import metrics_table
from resdet.structures import Detections

_SHOWN = 8


class DetectorEvaluation:
    """The evaluation of detectors on a config's validation set.

    Args:
        data: the data section.
        names: the detectors' class names, in label order.
        test: what is done at test time; the networks' own postprocessing is built of it already.
        backend: who computes COCO's numbers, hotcoco or pycocotools.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or of other classes.
    """

    def __init__(
        self, data: DetectionDataConfig, names: Sequence[str], test: DetectionTestConfig, backend: str = "hotcoco"
    ) -> None:
        self.source = data.val
        dataset = build_dataset([data.val], names, option="data.val")
        metrics = ("coco",) if data.metric == "coco" else ("coco", data.metric)
        self.evaluator = CocoEvaluator(GroundTruth.from_dataset(dataset), dataset.category_ids, dataset.names, metrics, backend)
        self.test = test
        self.improvements = improvements_of(test)
        transform = DetectionTestTransform(data.test_short_side, data.max_side)
        pyramid = self.improvements.pyramid(data.test_short_side, data.max_side)
        proposals = source_proposals([data.val], [dataset], option="data.val")
        self.view = DetectionView(dataset, transform, pyramid=pyramid, proposals=proposals)
        self.workers = data.workers
        self.metrics: dict[str, Any] = {}
        # pictures for the report, spread over the set
        self.shown: dict[int, Detections | None] = {index * len(dataset) // _SHOWN: None for index in range(_SHOWN)}

    def run(self, model: FasterRCNN) -> dict[str, Any]:
        """Detect on every image and return the metrics, as in ``metrics.json``."""
        return self.run_ensemble([model])

    def run_ensemble(self, models: Sequence[FasterRCNN], shares: Sequence[float] | None = None) -> dict[str, Any]:
        """Detect on every image by several networks together (see ``detect_image``) and return the metrics."""
        self.evaluator.reset()
        batches = test_loader(self.view, self.workers)
        for index, found in enumerate(detect_batches(models, batches, self.improvements, shares)):
            self.evaluator.process([found])
            if index in self.shown:
                self.shown[index] = found
        self.metrics = self.evaluator.evaluate()
        self.metrics["meta"] |= {"test": config_to_dict(self.test), "shares": normalized_shares(shares, len(models))}
        return self.metrics

    def write(self, model: FasterRCNN, folder: Path) -> dict[str, Any]:
        """Write what the last run found, or else the run of ``model``: metrics, detections, pictures; print the table."""
        metrics = self.metrics or self.run(model)
        results = self.evaluator.results()
        paths = [write_metrics(folder, metrics), write_detections(folder, results)]
        if self.source.format == "voc":
            paths.append(folder / "voc")
            classes = dict(zip(self.evaluator.category_ids, self.evaluator.names, strict=True))
            write_voc_results(paths[-1], self.source.split, results, image_names(self.view.dataset), classes)
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
    """The evaluation of classifiers on a config's validation set.

    Args:
        data: the data section.
        test: the section that says which views of an image are averaged.
        names: the classifiers' class names, in label order; those of the validation set when None.

    Attributes:
        names: the class names.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or of other classes.
    """

    def __init__(self, data: ClassificationDataConfig, test: ClassificationTestConfig, names: Sequence[str] | None) -> None:
        self.dataset = build_classification_dataset(data.val, names, option="data.val")
        self.names = tuple(self.dataset.names)
        self.views = Views(test.views, tuple(test.short_sides or [data.test_short_side]), data.crop, test.flip)
        self.root = Path(data.val.root).expanduser()
        self.workers = data.workers
        self.predictions: Predictions | None = None
        self.metrics: dict[str, Any] = {}

    def run(self, model: Classifier) -> dict[str, Any]:
        """Classify every image and return the metrics, as in ``metrics.json``."""
        return self.run_ensemble([model], [1.0])

    def run_ensemble(self, models: Sequence[Classifier], shares: Sequence[float]) -> dict[str, Any]:
        """Classify every image by several networks, one after the other, and return the metrics of their weighted average."""
        self.predictions = average_predictions([self._predict(model) for model in models], shares)
        self.metrics = evaluate_predictions(self.predictions)
        self.metrics["meta"] |= {
            "views": self.views.kind,
            "short_sides": list(self.views.short_sides),
            "crop": self.views.crop,
            "flip": self.views.flip,
            "models": [model.backbone.spec.name for model in models],
            "shares": normalized_shares(shares, len(models)),
        }
        return self.metrics

    def write(self, model: Classifier, folder: Path) -> dict[str, Any]:
        """Write what the last run found, or else the run of ``model``: metrics, predictions, pictures; print the table."""
        if self.predictions is None:
            self.run(model)
        report_classification(folder, cast(Predictions, self.predictions), self.metrics)
        return self.metrics

    def _predict(self, model: Classifier) -> Predictions:
        batches = list(classify_dataset(model, self.dataset, self.views, workers=self.workers))
        probabilities = [some.numpy() for some, _ in batches] or [np.zeros((0, len(self.names)), np.float32)]
        labels = [some.numpy() for _, some in batches] or [np.zeros(0, np.int64)]
        files = tuple(_below(self.dataset.path(index), self.root) for index in range(len(self.dataset)))
        return Predictions(np.concatenate(probabilities), np.concatenate(labels), self.names, files)


def report_classification(folder: Path, predictions: Predictions, metrics: dict[str, Any]) -> None:
    """Write the result files of a classifier and print the table."""
    paths = write_classification(folder, predictions, metrics)
    print(metrics_table(metrics))
    print(f"written: {', '.join(map(str, paths))}", file=sys.stderr)


def _below(path: Path, root: Path) -> str:
    """``path`` from the folder ``root`` on, so that predictions of the same data in two places fit; else the whole path."""
    for folder in (root, root.parent):  # an image in a file of many is called after the root itself
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)
