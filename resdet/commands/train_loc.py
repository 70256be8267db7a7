"""Train a localizer: per-class regression of boxes on a residual network."""

from __future__ import annotations

import argparse

from resdet.commands.arguments import add_train_arguments, changed_options
from resdet.commands.common import print_results, run_config
from resdet.commands.processes import add_process_arguments, launched, together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-loc``."""
    add_train_arguments(parser)
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train one stage, evaluate, and leave a run folder."""
    change = changed_options(args)

    if args.devices is not None:
        return launched(args)
    from resdet.config.schema import LocalizationRunConfig
    from resdet.training.how import How
    from resdet.training.train import train_config

    with together(args) as ranks:
        config = ranks.once(lambda: run_config(args, LocalizationRunConfig))
        how = How(resume=args.resume, change=change, accept_data=args.accept_data_change)
        results = train_config(config, args.device, how).results
        if ranks.first:
            print_results(results)
    return 0
