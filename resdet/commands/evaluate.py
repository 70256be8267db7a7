"""Evaluate trained models, one or an ensemble, or score a results file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.arguments import separate_overrides
from resdet.commands.common import print_results
from resdet.commands.evaluate_arguments import add_arguments, check_with_config, needs_config, shares_of
from resdet.commands.processes import launched, together
from resdet.commands.score import EVALUATOR, score_folder, score_results
from resdet.engine.run_lock import not_in_training
from resdet.files import regular, write_text

if TYPE_CHECKING:
    from resdet.config.check import RunFile
    from resdet.engine.task import Results

__all__ = ["add_arguments", "run"]

_OF_EVAL = "# written by resdet eval, which writes over it"


def run(args: argparse.Namespace) -> int:
    """Evaluate as the arguments say; the table goes to stdout."""
    separate_overrides(args, "weights", "predictions", "classifier", "shares")
    if not needs_config(args):
        with not_in_training(score_folder(args)):
            return score_results(args)
    if args.devices is not None and not args.constant_box:
        return launched(args)
    with together(args) as ranks:
        results = _evaluate(args, first=ranks.first)
        if ranks.first:
            print_results(results)
    return 0


def _evaluate(args: argparse.Namespace, *, first: bool) -> Results:
    from resdet.config import load_config

    config = load_config(args.config, args.overrides)
    folder = Path(args.output or Path(config.output) / "eval")
    members = args.predictions or args.weights or [str(Path(config.output) / "model.safetensors")]
    shares = shares_of(args.shares, len(members))
    check_with_config(args, config)
    if args.constant_box or args.predictions:
        with not_in_training(folder):
            results = _without_model(args, config, shares, folder)
    else:
        results = _run_models(args, config, members, shares, folder)
    if first:
        _keep_config(config, folder)
    if first and args.report:
        from resdet.report.html.run import write_report

        results.files.extend(write_report(folder, config))
    return results


def _keep_config(config: RunFile, folder: Path) -> None:
    """Write the config beside the results, where ``resdet report`` reads it; one that another than ``eval`` wrote stays."""
    from resdet.config import config_to_yaml

    path = folder / "config.yaml"
    if not path.exists() or regular(path).read_bytes().startswith(_OF_EVAL.encode()):
        write_text(path, f"{_OF_EVAL}\n{config_to_yaml(config)}")


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
        backend=args.evaluator or EVALUATOR,
        runtime=args.runtime,
    )
    return evaluate_files(config, members, folder, options)


def _without_model(args: argparse.Namespace, config: RunFile, shares: Sequence[float], folder: Path) -> Results:
    from resdet.config.schema import LocalizationRunConfig
    from resdet.inference.device import select_device
    from resdet.training.evaluate import evaluate_prediction_files
    from resdet.training.localization.baseline import evaluate_constant_box
    from resdet.training.localization.evaluation import score_submission

    if not isinstance(config, LocalizationRunConfig):
        return evaluate_prediction_files(args.predictions, shares, folder)
    if args.constant_box:
        return evaluate_constant_box(config, args.classifier, select_device(args.device), folder)
    return score_submission(config.data, args.predictions[0], folder)
