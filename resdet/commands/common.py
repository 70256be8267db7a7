"""Steps that the commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from resdet.console import say, show
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.check import RunFile
    from resdet.engine.task import Results

ConfigT = TypeVar("ConfigT", bound="RunFile")


def move_aside(output: str | Path) -> None:
    """What ``--restart`` does with the folder of a run before a new one begins; it says where the run is now."""
    from resdet.engine.run_folder import set_aside

    if moved := set_aside(output):
        say(f"{output}: the run that was there is in {moved} now", error=True)


def run_config(args: argparse.Namespace, expected: type[ConfigT]) -> ConfigT:
    """Load ``--config`` with its overrides and ``--output``.

    Raises:
        ConfigError: with every problem of the file, or when it is of another task than ``expected``.
    """
    from resdet.config import load_config

    config = load_config(args.config, args.overrides)
    if not isinstance(config, expected):
        command = {"detection": "train-det", "classification": "train-cls", "localization": "train-loc"}[config.task]
        raise ConfigError(f"{args.config}: 'task' is {config.task}; its command is {command}")
    if args.output:
        config.output = args.output
    if getattr(args, "restart", False):
        move_aside(config.output)
    return config


def print_results(results: Results) -> None:
    """Print the table of an evaluation and the files that were written; nothing when nothing was evaluated."""
    from resdet.report.tables import metrics_table

    if results.metrics:
        show(metrics_table(results.metrics), results.metrics)
        say(f"written: {', '.join(map(str, results.files))}", error=True)
