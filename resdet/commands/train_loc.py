"""Train a localizer: per-class regression of boxes on a residual network."""

from __future__ import annotations

import argparse

from resdet.commands.common import add_train_arguments, changed_options, print_results, run_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-loc``."""
    add_train_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train one stage, evaluate, and leave a run folder."""
    from resdet.config.schema import LocalizationRunConfig
    from resdet.training.train import train_config

    change = changed_options(args)
    config = run_config(args, LocalizationRunConfig)
    run = train_config(config, device=args.device, resume=args.resume, change=change, accept_data=args.accept_data_change)
    print_results(run.results)
    return 0
