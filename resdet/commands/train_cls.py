"""Train a classifier, the network that pretrains detectors."""

from __future__ import annotations

import argparse

from resdet.commands.arguments import add_train_arguments, changed_options
from resdet.commands.common import print_results, run_config
from resdet.commands.plan_arguments import add_plan_arguments, check_plan_arguments, planned_config
from resdet.commands.processes import add_process_arguments, launched, together
from resdet.errors import ConfigError


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
    if args.recompute_bn and args.resume:
        raise ConfigError("--recompute-bn does not train, and --resume goes on training: give one of them")
    change = changed_options(args)

    if args.devices is not None:
        return launched(args)
    from resdet.config.schema import ClassificationRunConfig
    from resdet.inference.device import select_device
    from resdet.training.classification.statistics import refresh_classifier
    from resdet.training.how import How
    from resdet.training.train import train_config

    with together(args) as ranks:
        if args.recompute_bn:
            results = refresh_classifier(run_config(args, ClassificationRunConfig), select_device(args.device), ranks)
        else:
            config = ranks.once(
                lambda: planned_config(args, "classification") if args.data else run_config(args, ClassificationRunConfig)
            )
            how = How(resume=args.resume, change=change, accept_data=args.accept_data_change)
            results = train_config(config, args.device, how).results
        if ranks.first:
            print_results(results)
    return 0
