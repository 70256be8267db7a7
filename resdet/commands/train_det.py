"""Train a detector: Faster R-CNN on ResNet-C4."""

from __future__ import annotations

import argparse

from resdet.commands.arguments import add_train_arguments, changed_options
from resdet.commands.common import print_results, run_config
from resdet.commands.plan_arguments import add_plan_arguments, check_plan_arguments, planned_config
from resdet.commands.processes import add_process_arguments, launched, together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-det``."""
    add_train_arguments(parser, config=False)
    add_plan_arguments(parser, "a folder, an annotation file, a data.yaml or an archive of your own", models="r18, r50 or r101")
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, and leave a run folder."""
    check_plan_arguments(args)
    change = changed_options(args)

    if args.devices is not None:
        return launched(args)
    from resdet.config.schema import DetectionRunConfig
    from resdet.training.how import How
    from resdet.training.train import train_config

    with together(args) as ranks:
        config = ranks.once(lambda: planned_config(args, "detection") if args.data else run_config(args, DetectionRunConfig))
        how = How(resume=args.resume, change=change, accept_data=args.accept_data_change)
        results = train_config(config, args.device, how).results
        if ranks.first:
            print_results(results)
    return 0
