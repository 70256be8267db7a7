"""Evaluate a trained model, or score a results file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from resdet.commands.common import add_config_arguments, add_device_argument
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationDataConfig, DetectionDataConfig
    from resdet.models.classifier import Classifier
    from resdet.models.detection.faster_rcnn import FasterRCNN
    from resdet.structures import Detections

_SHOWN = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``eval``."""
    add_config_arguments(parser, required=False)
    parser.add_argument("--weights", metavar="FILE", help="a model file (default: model.safetensors of the config's output)")
    add_device_argument(parser)
    parser.add_argument(
        "--evaluator", default="hotcoco", choices=("hotcoco", "pycocotools"), help="who computes COCO's numbers"
    )
    parser.add_argument("--ground-truth", metavar="FILE", help="score a results file: the COCO annotations it is about")
    parser.add_argument("--detections", metavar="FILE", help="score a results file: the file, COCO results json")
    parser.add_argument(
        "--metric", default="coco", choices=("coco", "voc07", "voc10"), help="of a results file (default: coco)"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate as the arguments say; the table goes to stdout."""
    files = (args.ground_truth, args.detections)
    if any(files):
        if not all(files) or args.config or args.weights or args.overrides:
            raise ConfigError("--ground-truth and --detections go together, and without --config, --weights and options")
        _score_results_file(args)
        return 0
    if not args.config:
        raise ConfigError("eval needs --config and --weights, or --ground-truth and --detections")
    _evaluate_model(args)
    return 0


def _score_results_file(args: argparse.Namespace) -> None:
    from resdet.evaluation.score import score_files
    from resdet.report.results import write_metrics
    from resdet.report.tables import metrics_table

    metrics = score_files(args.ground_truth, args.detections, args.metric, args.evaluator)
    folder = Path(args.output) if args.output else Path(args.detections).resolve().parent
    print(metrics_table(metrics))
    print(f"written: {write_metrics(folder, metrics)}", file=sys.stderr)


def _evaluate_model(args: argparse.Namespace) -> None:
    from resdet.config import load_config
    from resdet.config.schema import DetectionRunConfig
    from resdet.inference.load import select_device
    from resdet.models.build import load_model
    from resdet.models.classifier import Classifier
    from resdet.models.detection.faster_rcnn import FasterRCNN

    config = load_config(args.config, args.overrides)
    weights = args.weights or str(Path(config.output) / "model.safetensors")
    model, _ = load_model(weights, config.model)
    model.to(select_device(args.device))
    folder = Path(args.output or Path(config.output) / "eval")
    # load_model has checked that the file holds what the config describes
    if isinstance(config, DetectionRunConfig):
        detector = cast(FasterRCNN, model)
        DetectorEvaluation(config.data, detector.names, backend=args.evaluator).write(detector, folder)
    else:
        classifier = cast(Classifier, model)
        ClassifierEvaluation(config.data, classifier.names).write(classifier, folder)


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
        from resdet.data.catalog import build_dataset
        from resdet.data.loader import DetectionView
        from resdet.data.transforms import DetectionTestTransform
        from resdet.evaluation.evaluator import CocoEvaluator

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
        from resdet.data.loader import test_loader
        from resdet.inference.detector import detect_batches

        self.evaluator.reset()
        for index, found in enumerate(detect_batches(model, test_loader(self.view, self.workers))):
            self.evaluator.process([found])
            if index in self.shown:
                self.shown[index] = found
        self.metrics = self.evaluator.evaluate()
        return self.metrics

    def write(self, model: FasterRCNN, folder: Path) -> dict[str, Any]:
        """Write metrics, detections and a sheet of pictures, and print the table; evaluates unless ``run`` has."""
        from resdet.files import atomic_write
        from resdet.report.draw import Sample, contact_sheet
        from resdet.report.results import write_detections, write_metrics
        from resdet.report.tables import metrics_table

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
        from resdet.data.catalog import build_classification_dataset
        from resdet.data.loader import ClassificationView
        from resdet.data.transforms import ClassificationTestTransform
        from resdet.evaluation.topk import TopK

        dataset = build_classification_dataset(data.val, names, option="data.val")
        self.view = ClassificationView(dataset, ClassificationTestTransform(data.test_short_side, data.crop))
        self.workers = data.workers
        self.evaluator = TopK(names)
        self.metrics: dict[str, Any] = {}

    def run(self, model: Classifier) -> dict[str, Any]:
        """Classify every image and return the metrics, as in ``metrics.json``."""
        from resdet.data.loader import test_loader
        from resdet.inference.classifier import classify_batches

        self.evaluator.reset()
        for logits, labels in classify_batches(model, test_loader(self.view, self.workers, batch=32)):
            self.evaluator.process(logits, labels)
        self.metrics = self.evaluator.evaluate()
        return self.metrics

    def write(self, model: Classifier, folder: Path) -> dict[str, Any]:
        """Write ``metrics.json`` and print the table; evaluates unless ``run`` has."""
        from resdet.report.results import write_metrics
        from resdet.report.tables import metrics_table

        metrics = self.metrics or self.run(model)
        path = write_metrics(folder, metrics)
        print(metrics_table(metrics))
        print(f"written: {path}", file=sys.stderr)
        return metrics
