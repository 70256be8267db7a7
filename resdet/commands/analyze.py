"""Measure why residual networks work: degradation, shortcuts, gradients, responses, lesions.

Each analysis writes NAME.png, NAME.csv and NAME.txt into the output folder, and prints the conclusion.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from resdet.commands.common import add_device_argument, separate_overrides
from resdet.errors import ConfigError

# the options that each analysis knows, besides --config, --output, --device and key.path=value
_OPTIONS = {
    "degradation": ("networks", "iterations", "runs"),
    "shortcuts": ("iterations", "runs"),
    "gradients": ("networks", "iterations", "weights", "batches"),
    "responses": ("networks", "weights", "images", "all_convolutions"),
    "lesion": ("networks", "weights", "images", "draws"),
}
_LISTS = ("networks", "weights", "runs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``analyze``."""
    parser.add_argument(
        "analysis",
        choices=list(_OPTIONS),
        help="degradation: training and test error of plain and residual nets of several depths; shortcuts: the same for "
        "options A, B, C and none; gradients: the gradient norm of every layer; responses: the standard deviation of every "
        "layer's response; lesion: the error after blocks are dropped",
    )
    parser.add_argument("--config", metavar="FILE", help="a run file, or the name of a shipped one (not with --runs)")
    parser.add_argument("--output", required=True, metavar="DIR", help="where picture, table, conclusion and trained runs go")
    parser.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="options to change, for instance optimizer.lr=0.001"
    )
    add_device_argument(parser)
    group = parser.add_argument_group("options of some analyses")
    group.add_argument(
        "--networks",
        nargs="+",
        metavar="NAME",
        help="networks of the backbone registry: those to train (degradation), or to measure untrained; with --weights, the "
        "network of each file (default: the model file's own, or else the config's)",
    )
    group.add_argument(
        "--iterations",
        type=_number(1),
        metavar="N",
        help="train for so many steps; milestones and warm-up move in proportion (default: the config's schedule; gradients: "
        "no training)",
    )
    group.add_argument(
        "--runs", nargs="+", metavar="DIR", help="degradation, shortcuts: finished run folders; nothing is trained"
    )
    group.add_argument("--weights", nargs="+", metavar="FILE", help="gradients, responses, lesion: trained networks")
    group.add_argument("--batches", type=_number(1), metavar="N", help="gradients: batches averaged over (default: 5)")
    group.add_argument("--images", type=_number(0), metavar="N", help="responses, lesion: test images; 0: all (default: 1000)")
    group.add_argument("--draws", type=_number(1), metavar="N", help="lesion: random choices of several blocks (default: 5)")
    group.add_argument(
        "--all-convolutions", action="store_true", default=None, help="responses: not only the 3x3 layers, also the other ones"
    )


def run(args: argparse.Namespace) -> int:
    """Measure what was asked for.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    separate_overrides(args, *_LISTS)
    _check(args)
    from resdet.commands.analyze_networks import analyze_gradients, analyze_lesions, analyze_responses
    from resdet.commands.analyze_training import analyze_degradation, analyze_shortcuts

    analyses: dict[str, Callable[[argparse.Namespace], str]] = {
        "degradation": analyze_degradation,
        "shortcuts": analyze_shortcuts,
        "gradients": analyze_gradients,
        "responses": analyze_responses,
        "lesion": analyze_lesions,
    }
    print(analyses[args.analysis](args))
    return 0


def _check(args: argparse.Namespace) -> None:
    known = {name for names in _OPTIONS.values() for name in names}
    given = [name for name in sorted(known) if getattr(args, name) not in (None, [])]
    problems = [
        f"--{name.replace('_', '-')} does not go with analyze {args.analysis}"
        for name in given
        if name not in _OPTIONS[args.analysis]
    ]
    if args.runs and (args.networks or args.iterations or args.config or args.overrides):
        problems.append("--runs are finished: --config, --networks, --iterations and key=value do not go with them")
    if not args.config and not args.runs:
        problems.append(f"analyze {args.analysis} needs --config FILE")
    if args.weights and args.networks and len(args.weights) != len(args.networks):
        problems.append(
            f"--networks names the network of each of --weights: {len(args.networks)} for {len(args.weights)} files"
        )
    if args.weights and args.iterations:
        problems.append("--iterations trains --networks; it does not go with --weights")
    needed = {"degradation": ("networks", "runs"), "gradients": ("networks", "weights"), "responses": ("networks", "weights")}
    one_of = {**needed, "lesion": ("weights",)}.get(args.analysis, ())
    if one_of and not any(getattr(args, name) for name in one_of):
        problems.append(f"analyze {args.analysis} needs {' or '.join(f'--{name}' for name in one_of)}")
    for name in _LISTS:
        items = getattr(args, name)
        if len(set(items)) < len(items) and not (name == "networks" and args.weights):
            problems.append(f"--{name} must not name the same twice, got {' '.join(items)}")
    if problems:
        raise ConfigError(problems)


def _number(low: int) -> Callable[[str], int]:
    """An integer argument of at least ``low``."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if number < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {number}")
        return number

    return parse
