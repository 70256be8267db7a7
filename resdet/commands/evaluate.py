"""Evaluate trained models, one or an ensemble, or score a results file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.common import add_config_arguments, add_inference_arguments, separate_overrides
from resdet.commands.score import add_score_arguments, score_results
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, LocalizationRunConfig
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
        help="a model file (default: model.safetensors of the config's output), or several: an ensemble, whose probabilities "
        "(of detectors: scores and boxes of the union of their proposals) are averaged; of classifiers also a file of foreign "
        "weights for the config's network",
    )
    parser.add_argument(
        "--predictions",
        nargs="+",
        metavar="FILE",
        default=[],
        help="no network runs: ensemble of predictions.npz files; with a localization config a submission file is scored",
    )
    parser.add_argument(
        "--classifier",
        nargs="+",
        metavar="FILE",
        default=[],
        help="of a localizer: the classifiers, averaged, that say the five classes; without them the true class is given",
    )
    parser.add_argument(
        "--shares", nargs="+", metavar="NUMBER", default=[], help="weight of each member of an ensemble (default: equal ones)"
    )
    add_inference_arguments(parser)
    parser.add_argument(
        "--evaluator", default="hotcoco", choices=("hotcoco", "pycocotools"), help="who computes COCO's numbers"
    )
    add_score_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate as the arguments say; the table goes to stdout."""
    separate_overrides(args, "weights", "predictions", "classifier", "shares")
    files = (args.ground_truth, args.detections)
    if any(files) or args.split:
        others = (args.config, args.weights, args.predictions, args.classifier, args.shares, args.overrides, args.compile)
        if not all(files) or any(others) or args.precision != "fp32":
            raise ConfigError("--ground-truth and --detections go together, and without --config, --weights and options")
        return score_results(args)
    if not args.config:
        raise ConfigError(
            "eval needs --config and --weights, or --config and --predictions, or --ground-truth and --detections"
        )
    _evaluate_config(args)
    return 0


def _evaluate_config(args: argparse.Namespace) -> None:
    from resdet.config import load_config
    from resdet.config.schema import DetectionRunConfig, LocalizationRunConfig

    config = load_config(args.config, args.overrides)
    members = args.predictions or args.weights or [str(Path(config.output) / "model.safetensors")]
    shares = _shares(args.shares, len(members))
    folder = Path(args.output or Path(config.output) / "eval")
    if args.predictions and args.weights:
        raise ConfigError("--weights and --predictions exclude each other: evaluate the weights first, then their predictions")
    if not isinstance(config, DetectionRunConfig) and (args.precision != "fp32" or args.compile):
        raise ConfigError(f"{args.config}: --precision and --compile go with a detection config, 'task' is {config.task}")
    if isinstance(config, LocalizationRunConfig):
        _evaluate_localizers(args, config, members, folder)
        return
    if args.classifier:
        raise ConfigError(f"{args.config}: --classifier goes with a localization config, 'task' is {config.task}")
    if isinstance(config, DetectionRunConfig):
        if args.predictions:
            raise ConfigError(f"{args.config}: a detector is evaluated from --weights, got --predictions")
        _evaluate_detectors(args, config, members, shares, folder)
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


def _evaluate_detectors(
    args: argparse.Namespace, config: DetectionRunConfig, weights: Sequence[str], shares: Sequence[float], folder: Path
) -> None:
    """Evaluate one detector, or several together; each file's own card says what its network is."""
    from resdet.commands.evaluation import DetectorEvaluation
    from resdet.inference.device import select_device
    from resdet.inference.load import check_detectors, load_detectors
    from resdet.models.card_network import card_config
    from resdet.models.model_file import read_card

    where = select_device(args.device)
    configs = [config.model]
    if len(weights) > 1:
        # a config describes one network, and can be held against one file: of an ensemble it says what is free at test time
        own = [card_config(path, read_card(path)) for path in weights]
        check_detectors(weights, own)
        configs = [replace(each, rpn=config.model.rpn, test=config.model.test) for each in own]
    models = load_detectors(weights, configs, where, precision=args.precision, compiled=args.compile)
    evaluation = DetectorEvaluation(config.data, models[0].names, config.model.test, args.evaluator)
    metrics = evaluation.run_ensemble(models, shares)
    metrics["meta"]["precision"] = args.precision
    if len(models) > 1:
        metrics["meta"]["weights"] = list(weights)
    evaluation.write(models[0], folder)


def _evaluate_localizers(args: argparse.Namespace, config: LocalizationRunConfig, members: Sequence[str], folder: Path) -> None:
    """Evaluate one localizer, or several together, or score a submission file."""
    from resdet.commands.localization_evaluation import evaluate_localizer, score_submission
    from resdet.inference.device import select_device
    from resdet.inference.load_localizer import load_localizers

    if args.shares:
        raise ConfigError("--shares is for detectors and classifiers; members of an ensemble of localizers count alike")
    if args.predictions:
        if len(members) > 1 or args.classifier:
            raise ConfigError("--predictions is one submission file of a localization config, and goes without --classifier")
        score_submission(config.data, members[0], folder)
        return
    where = select_device(args.device)
    localizer = load_localizers(members, where, config=config.model, crop=config.data.crop)
    evaluate_localizer(config.data, config.classes, localizer, args.classifier, where, folder)


def _evaluate_predictions(files: Sequence[str], shares: Sequence[float], folder: Path) -> None:
    from resdet.commands.evaluation import report_classification
    from resdet.evaluation.classification import evaluate_predictions
    from resdet.evaluation.predictions import average_predictions, normalized_shares, read_predictions
    from resdet.files import identity

    if identity(folder / _PREDICTIONS) in map(identity, files):
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
    from resdet.inference.device import select_device
    from resdet.inference.load import is_model_file, load_foreign_classifier

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
    from resdet.inference.load import common_names

    return common_names({path: model.names for path, model in models.items()}) if models else None
