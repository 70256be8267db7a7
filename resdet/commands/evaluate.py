"""Evaluate trained models, one or an ensemble, or score a results file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.common import print_results, separate_overrides
from resdet.commands.evaluate_arguments import add_arguments
from resdet.commands.processes import launched, together
from resdet.commands.score import score_folder, score_results
from resdet.engine.run_lock import not_in_training
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.check import RunFile
    from resdet.engine.task import Results

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Evaluate as the arguments say; the table goes to stdout."""
    separate_overrides(args, "weights", "predictions", "classifier", "shares")
    files = (args.ground_truth, args.detections)
    if any(files) or args.split or args.iou is not None:
        others = (args.config, args.weights, args.predictions, args.classifier, args.shares, args.overrides, args.compile)
        if not all(files) or any(others) or args.precision != "fp32" or args.report:
            raise ConfigError("--ground-truth and --detections go together, and without --config, --weights and options")
        with not_in_training(score_folder(args)):
            return score_results(args)
    if not args.config:
        raise ConfigError(
            "eval needs --config and --weights, or --config and --predictions, or --ground-truth and --detections"
        )
    if args.predictions and args.devices is not None:
        raise ConfigError("--devices goes with --weights: --predictions run no network")
    if args.devices is not None and not args.constant_box:
        return launched(args)
    with together(args) as ranks:
        results = _evaluate(args, report=args.report and ranks.first)
        if ranks.first:
            print_results(results)
    return 0


def _evaluate(args: argparse.Namespace, *, report: bool) -> Results:
    from resdet.config import load_config

    config = load_config(args.config, args.overrides)
    folder = Path(args.output or Path(config.output) / "eval")
    members = args.predictions or args.weights or [str(Path(config.output) / "model.safetensors")]
    shares = _shares(args.shares, len(members))
    _check(args, config)
    if args.constant_box:
        with not_in_training(folder):
            results = _score_constant_box(args, config, folder)
    elif args.predictions:
        with not_in_training(folder):
            results = _score_predictions(args, config, shares, folder)
    else:
        results = _run_models(args, config, members, shares, folder)
    if report:
        from resdet.report.html.run import write_report

        results.files.extend(write_report(folder, config))
    return results


def _run_models(
    args: argparse.Namespace, config: RunFile, members: Sequence[str], shares: Sequence[float], folder: Path
) -> Results:
    from resdet.training.evaluate import EvaluationOptions, evaluate_files

    options = EvaluationOptions(
        device=args.device,
        shares=shares,
        classifiers=args.classifier,
        precision=args.precision,
        compiled=args.compile,
        backend=args.evaluator,
        runtime=args.runtime,
    )
    return evaluate_files(config, members, folder, options)


def _check(args: argparse.Namespace, config: RunFile) -> None:
    """Raise a ConfigError for arguments that do not go together or with the task of the config."""
    task = config.task
    if args.predictions and args.weights:
        raise ConfigError("--weights and --predictions exclude each other: evaluate the weights first, then their predictions")
    if task != "detection" and (args.precision != "fp32" or args.compile):
        raise ConfigError(f"{args.config}: --precision and --compile go with a detection config, 'task' is {task}")
    if task == "localization" and args.shares:
        raise ConfigError("--shares is for detectors and classifiers; members of an ensemble of localizers count alike")
    if task == "localization" and args.predictions and (len(args.predictions) > 1 or args.classifier):
        raise ConfigError("--predictions is one submission file of a localization config, and goes without --classifier")
    if task != "localization" and args.classifier:
        raise ConfigError(f"{args.config}: --classifier goes with a localization config, 'task' is {task}")
    if task == "detection" and args.predictions:
        raise ConfigError(f"{args.config}: a detector is evaluated from --weights, got --predictions")


def _score_constant_box(args: argparse.Namespace, config: RunFile, folder: Path) -> Results:
    from resdet.config.schema import LocalizationRunConfig
    from resdet.inference.device import select_device
    from resdet.training.localization.baseline import evaluate_constant_box

    if not isinstance(config, LocalizationRunConfig) or args.weights or args.predictions or args.devices is not None:
        raise ConfigError("--constant-box goes with a localization config, and without --weights, --predictions and --devices")
    return evaluate_constant_box(config, args.classifier, select_device(args.device), folder)


def _score_predictions(args: argparse.Namespace, config: RunFile, shares: Sequence[float], folder: Path) -> Results:
    from resdet.config.schema import LocalizationRunConfig
    from resdet.files import identity
    from resdet.training.evaluate import evaluate_prediction_files
    from resdet.training.localization.evaluation import score_submission

    if isinstance(config, LocalizationRunConfig):
        return score_submission(config.data, args.predictions[0], folder)
    written = folder / "predictions.npz"
    if identity(written) in map(identity, args.predictions):
        raise ConfigError(f"--predictions: {written} would be overwritten; choose another --output")
    return evaluate_prediction_files(args.predictions, shares, folder)


def _shares(given: Sequence[str], members: int) -> list[float]:
    """The numbers of ``--shares``, not yet normalized; equal numbers when none are given."""
    from resdet.evaluation.predictions import normalized_shares

    try:
        shares = [float(number) for number in given] if given else [1.0] * members
        normalized_shares(shares, members)
    except (ValueError, ConfigError) as error:
        raise ConfigError(
            f"--shares must be one number above 0 for each of {members} file{'s'[: members != 1]}, got {' '.join(given)}"
        ) from error
    return shares
