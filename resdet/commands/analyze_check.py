"""Checks that the arguments of ``resdet analyze`` go together, and that numbers are in range."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from resdet.errors import ConfigError

# the options that each analysis knows, besides --config, --output, --device and key.path=value
OPTIONS = {
    "degradation": ("networks", "iterations", "runs"),
    "shortcuts": ("iterations", "runs", "seeds"),
    "norm": ("networks", "iterations", "seeds", "rates"),
    "identity": ("iterations", "seeds"),
    "gradients": ("networks", "iterations", "weights", "batches"),
    "responses": ("networks", "weights", "images", "all_convolutions"),
    "lesion": ("networks", "weights", "images", "draws"),
    "permutation": ("networks", "weights", "images", "draws"),
    "paths": ("networks", "weights", "images", "draws"),
    "diff": ("networks", "weights", "images"),
}
LISTS = ("networks", "weights", "runs", "rates")


def check_arguments(args: argparse.Namespace) -> None:
    """Raise a ConfigError with every problem of the arguments that argparse does not find."""
    known = {name for names in OPTIONS.values() for name in names}
    given = [name for name in sorted(known) if getattr(args, name) not in (None, [])]
    problems = [
        f"--{name.replace('_', '-')} does not go with analyze {args.analysis}"
        for name in given
        if name not in OPTIONS[args.analysis]
    ]
    if args.runs and (args.networks or args.iterations or args.seeds or args.config or args.overrides):
        problems.append("--runs are finished: --config, --networks, --iterations, --seeds and key=value do not go with them")
    if not args.config and not args.runs:
        problems.append(f"analyze {args.analysis} needs --config FILE")
    if args.weights and args.networks and len(args.weights) != len(args.networks):
        problems.append(
            f"--networks names the network of each of --weights: {len(args.networks)} for {len(args.weights)} files"
        )
    if args.weights and args.iterations:
        problems.append("--iterations trains --networks; it does not go with --weights")
    needed = {"degradation": ("networks", "runs"), "gradients": ("networks", "weights"), "responses": ("networks", "weights")}
    alone = dict.fromkeys(("lesion", "permutation", "diff"), ("weights",))
    one_of = {**needed, **alone, "paths": ("networks", "weights")}.get(args.analysis, ())
    if one_of and not any(getattr(args, name) for name in one_of):
        problems.append(f"analyze {args.analysis} needs {' or '.join(f'--{name}' for name in one_of)}")
    if args.analysis == "diff" and len(args.weights) not in (0, 2):
        problems.append(f"analyze diff compares two files of --weights, got {len(args.weights)}")
    problems += [f"--rates must be numbers above 0, got {text!r}" for text in args.rates if not _is_positive(text)]
    for name in LISTS:
        items = getattr(args, name)
        if len(set(items)) < len(items) and not (name == "networks" and args.weights):
            problems.append(f"--{name} must not name the same twice, got {' '.join(items)}")
    if problems:
        raise ConfigError(problems)


def number_from(low: int) -> Callable[[str], int]:
    """The type of an integer argument of at least ``low``."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if number < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {number}")
        return number

    return parse


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
