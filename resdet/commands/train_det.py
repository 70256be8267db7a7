"""Train a detector: Faster R-CNN on ResNet-C4."""

from __future__ import annotations

import argparse

from resdet.commands.common import add_train_arguments, changed_options, print_results, run_config
from resdet.commands.plan_arguments import add_plan_arguments, check_plan_arguments, planned_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-det``."""
    add_train_arguments(parser, config=False)
    add_plan_arguments(parser, "a folder, an annotation file, a data.yaml or an archive of your own", models="r18, r50 or r101")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, and leave a run folder."""
    check_plan_arguments(args)
    change = changed_options(args)
    from resdet.config.schema import DetectionRunConfig
    from resdet.training.train import train_config

    config = planned_config(args, "detection") if args.data else run_config(args, DetectionRunConfig)
    run = train_config(config, device=args.device, resume=args.resume, change=change, accept_data=args.accept_data_change)
    print_results(run.results)
    return 0
