"""Train a classifier, the network that pretrains detectors."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from resdet.commands.common import add_train_arguments, changed_options, run_config
from resdet.commands.plan_arguments import add_plan_arguments, check_plan_arguments, planned_config
from resdet.commands.processes import add_process_arguments, in_processes
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.distributed.ranks import Ranks
    from resdet.engine.task import Results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-cls``."""
    add_train_arguments(parser, config=False)
    add_plan_arguments(parser, "a folder of class folders, a CSV or JSON list, or an archive of your own", models="r18 or r50")
    parser.add_argument(
        "--recompute-bn",
        action="store_true",
        help="do not train: give the model in the output folder exact BN statistics over recompute_bn training images "
        "(0: all), and evaluate it again",
    )
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, recompute BN statistics, evaluate, and leave a run folder."""
    check_plan_arguments(args)
    if args.recompute_bn and args.restart:
        raise ConfigError("--recompute-bn is for the run in the output folder, which --restart would move aside")
    if args.data and args.recompute_bn:
        raise ConfigError("--recompute-bn goes with --config, the config.yaml of a run folder")
    change = changed_options(args)

    def work(ranks: Ranks) -> Results:
        from resdet.config.schema import ClassificationRunConfig
        from resdet.inference.device import select_device
        from resdet.training.classification.statistics import refresh_classifier
        from resdet.training.train import train_config

        if args.recompute_bn:
            return refresh_classifier(run_config(args, ClassificationRunConfig), select_device(args.device), ranks)
        config = ranks.once(
            lambda: planned_config(args, "classification") if args.data else run_config(args, ClassificationRunConfig)
        )
        return train_config(
            config, device=args.device, resume=args.resume, change=change, accept_data=args.accept_data_change
        ).results

    return in_processes(args, work)
