"""Arguments of ``eval``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resdet.commands.arguments import add_config_arguments, add_inference_arguments, refuse_unheard
from resdet.commands.processes import add_process_arguments
from resdet.commands.score import add_score_arguments
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.check import RunFile

# what says something where no network runs
_OF_RESULTS = ("ground_truth", "detections", "split", "metric", "iou", "evaluator", "output")
_WITH_CONFIG = ("config", "output", "overrides", "report")


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
        "--constant-box",
        action="store_true",
        help="with a localization config: score the mean box of each class over the training images, as a baseline",
    )
    parser.add_argument(
        "--shares", nargs="+", metavar="NUMBER", default=[], help="weight of each member of an ensemble (default: equal ones)"
    )
    add_inference_arguments(parser)
    add_process_arguments(parser)
    parser.add_argument(
        "--evaluator", choices=("hotcoco", "pycocotools"), help="who computes COCO's numbers (default: hotcoco)"
    )
    parser.add_argument(
        "--report", action="store_true", help="write report.html beside the results: numbers, charts and pictures for a browser"
    )
    add_score_arguments(parser)


def needs_config(args: argparse.Namespace) -> bool:
    """Whether models or predictions are evaluated with a config, and not a results file.

    Raises:
        ConfigError: for arguments that do not go together.
    """
    of_results = {
        "--ground-truth": args.ground_truth,
        "--detections": args.detections,
        "--split": args.split,
        "--iou": args.iou is not None,
    }
    given = [name for name, value in of_results.items() if value]
    if given:
        if not (args.ground_truth and args.detections):
            raise ConfigError(f"--ground-truth and --detections go together, got {' and '.join(given)}")
        refuse_unheard(args, _OF_RESULTS, "on results files")
        return False
    if not args.config:
        raise ConfigError(
            "eval needs --config and --weights, or --config and --predictions, or --ground-truth and --detections"
        )
    if args.predictions and args.devices is not None:
        raise ConfigError("--devices goes with --weights: --predictions run no network")
    return True


def check_with_config(args: argparse.Namespace, config: RunFile) -> None:
    """Raise a ConfigError for arguments that do not go together or with the task of the config."""
    task = config.task
    if args.constant_box and (task != "localization" or args.weights or args.predictions or args.devices is not None):
        raise ConfigError("--constant-box goes with a localization config, and without --weights, --predictions and --devices")
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
    if args.metric is not None:
        raise ConfigError(f"--metric is for results files: a config says it, data.metric={args.metric}")
    if args.predictions:
        refuse_unheard(
            args, {*_WITH_CONFIG, "predictions", *(() if task == "localization" else ("shares",))}, "on --predictions"
        )
    elif args.constant_box:
        refuse_unheard(args, {*_WITH_CONFIG, "constant_box", "classifier", "device"}, "on --constant-box")
    elif task != "detection" and args.evaluator is not None:
        raise ConfigError(f"{args.config}: --evaluator goes with a detection config, 'task' is {task}")


def shares_of(given: Sequence[str], members: int) -> list[float]:
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
