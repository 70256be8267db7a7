"""Train a localizer: per-class regression of boxes on a residual network."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from resdet.commands.common import add_train_arguments, changed_options, run_config
from resdet.commands.processes import add_process_arguments, in_processes

if TYPE_CHECKING:
    from resdet.distributed.ranks import Ranks
    from resdet.engine.task import Results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-loc``."""
    add_train_arguments(parser)
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train one stage, evaluate, and leave a run folder."""
    change = changed_options(args)

    def work(ranks: Ranks) -> Results:
        from resdet.config.schema import LocalizationRunConfig
        from resdet.training.train import train_config

        config = ranks.once(lambda: run_config(args, LocalizationRunConfig))
        return train_config(
            config, device=args.device, resume=args.resume, change=change, accept_data=args.accept_data_change
        ).results

    return in_processes(args, work)
