"""Evaluate a trained model, or score a results file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

from resdet.commands.common import add_config_arguments, add_device_argument
from resdet.errors import ConfigError


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
    # a folder of its own: beside the detections lies the metrics.json of the run that made them
    folder = Path(args.output) if args.output else Path(args.detections).parent / "eval"
    print(metrics_table(metrics))
    print(f"written: {write_metrics(folder, metrics)}", file=sys.stderr)


def _evaluate_model(args: argparse.Namespace) -> None:
    from resdet.commands.evaluation import ClassifierEvaluation, DetectorEvaluation
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
