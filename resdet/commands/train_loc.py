"""Train a localizer: per-class regression of boxes on a residual network."""

from __future__ import annotations

import argparse

from resdet.commands.common import add_train_arguments, changed_options, print_results, run_config, trained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-loc``."""
    add_train_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train one stage, evaluate, and leave a run folder."""
    from resdet.config.schema import LocalizationRunConfig

    change = changed_options(args)
    print_results(trained(args, run_config(args, LocalizationRunConfig), change))
    return 0
