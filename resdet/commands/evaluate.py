"""Evaluate trained models, one or an ensemble, or score a results file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from resdet.commands.common import add_config_arguments, add_device_argument, separate_overrides
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
    from resdet.models.classifier import Classifier

_PREDICTIONS = "predictions.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``eval``."""
    add_config_arguments(parser, required=False)
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="FILE",
        default=[],
        help="a model file (default: model.safetensors of the config's output); of classifiers also a file of foreign weights "
        "for the config's network, or several files: an ensemble, whose probabilities are averaged",
    )
    parser.add_argument(
        "--predictions", nargs="+", metavar="FILE", default=[], help="ensemble of predictions.npz files, no network runs"
    )
    parser.add_argument(
        "--shares", nargs="+", metavar="NUMBER", default=[], help="weight of each member of an ensemble (default: equal ones)"
    )
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
    separate_overrides(args, "weights", "predictions", "shares")
    files = (args.ground_truth, args.detections)
    if any(files):
        if not all(files) or any((args.config, args.weights, args.predictions, args.shares, args.overrides)):
            raise ConfigError("--ground-truth and --detections go together, and without --config, --weights and options")
        _score_results_file(args)
        return 0
    if not args.config:
        raise ConfigError(
            "eval needs --config and --weights, or --config and --predictions, or --ground-truth and --detections"
        )
    _evaluate_config(args)
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


def _evaluate_config(args: argparse.Namespace) -> None:
    from resdet.config import load_config
    from resdet.config.schema import DetectionRunConfig

    config = load_config(args.config, args.overrides)
    members = args.predictions or args.weights or [str(Path(config.output) / "model.safetensors")]
    shares = _shares(args.shares, len(members))
    folder = Path(args.output or Path(config.output) / "eval")
    if args.predictions and args.weights:
        raise ConfigError("--weights and --predictions exclude each other: evaluate the weights first, then their predictions")
    if isinstance(config, DetectionRunConfig):
        if args.predictions or len(members) > 1:
            given = f"{len(members)} {'--predictions' if args.predictions else '--weights'}"
            raise ConfigError(f"{args.config}: a detector is evaluated from one file of --weights, got {given}")
        _evaluate_detector(args, config, members[0], folder)
    elif args.predictions:
        _evaluate_predictions(members, shares, folder)
    else:
        _evaluate_classifiers(config, members, shares, args.device, folder)


def _shares(given: Sequence[str], members: int) -> list[float]:
    """The numbers of ``--shares``, equal ones when there are none; not yet normalized."""
    from resdet.evaluation.predictions import normalized_shares

    try:
        shares = [float(number) for number in given] if given else [1.0] * members
        normalized_shares(shares, members)
    except (ValueError, ConfigError) as error:
        raise ConfigError(
            f"--shares must be one number above 0 for each of {members} file{'s'[: members != 1]}, got {' '.join(given)}"
        ) from error
    return shares


def _evaluate_detector(args: argparse.Namespace, config: DetectionRunConfig, weights: str, folder: Path) -> None:
    from resdet.commands.evaluation import DetectorEvaluation
    from resdet.inference.load import select_device
    from resdet.models.build import load_model
    from resdet.models.detection.faster_rcnn import FasterRCNN

    model, _ = load_model(weights, config.model)
    model.to(select_device(args.device))
    detector = cast(FasterRCNN, model)  # load_model has checked that the file holds what the config describes
    DetectorEvaluation(config.data, detector.names, backend=args.evaluator).write(detector, folder)


def _evaluate_predictions(files: Sequence[str], shares: Sequence[float], folder: Path) -> None:
    from resdet.commands.evaluation import report_classification
    from resdet.evaluation.classification import evaluate_predictions
    from resdet.evaluation.predictions import average_predictions, normalized_shares, read_predictions

    if any(Path(file).resolve() == (folder / _PREDICTIONS).resolve() for file in files):
        raise ConfigError(f"--predictions: {folder / _PREDICTIONS} would be overwritten; choose another --output")
    predictions = average_predictions([read_predictions(file) for file in files], shares, files)
    metrics = evaluate_predictions(predictions)
    metrics["meta"] |= {"predictions": list(files), "shares": normalized_shares(shares, len(files))}
    report_classification(folder, predictions, metrics)


def _evaluate_classifiers(
    config: ClassificationRunConfig, weights: Sequence[str], shares: Sequence[float], device: str, folder: Path
) -> None:
    """Evaluate one classifier, or the average of several; a model file's own card says what its network is."""
    from resdet.commands.evaluation import ClassifierEvaluation
    from resdet.inference.load import is_model_file, load_foreign_classifier, select_device

    where = select_device(device)
    own = {path: _load_classifier(path, config, len(weights)) for path in weights if is_model_file(path)}
    evaluation = ClassifierEvaluation(config.data, config.test, _common_names(own))
    models = [
        (own[path] if path in own else load_foreign_classifier(path, config.model, evaluation.names)).to(where)
        for path in weights
    ]
    metrics = evaluation.run_ensemble(models, shares)
    if len(models) > 1:
        metrics["meta"]["weights"] = list(weights)
    evaluation.write(models[0], folder)


def _load_classifier(path: str, config: ClassificationRunConfig, members: int) -> Classifier:
    from resdet.models.build import load_model
    from resdet.models.classifier import Classifier

    # a config describes one network: it can be held against one file
    model, _ = load_model(path, config.model if members == 1 else None)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{path}: holds a detection model, the config describes a classification model")
    return model


def _common_names(models: Mapping[str, Classifier]) -> tuple[str, ...] | None:
    """The class names that all ``models`` have; None when there is no model."""
    from resdet.evaluation.predictions import class_difference

    if not models:
        return None
    (first, reference), *others = models.items()
    problems = [
        f"{path}: {difference} in {first}"
        for path, model in others
        if (difference := class_difference(model.names, reference.names))
    ]
    if problems:
        raise ConfigError(problems)
    return reference.names
