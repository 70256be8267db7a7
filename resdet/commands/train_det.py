"""Train a detector: Faster R-CNN on ResNet-C4."""

from __future__ import annotations

import argparse
import sys

from resdet.commands.common import add_train_arguments, print_results, run_config
from resdet.commands.plan_arguments import add_plan_arguments, check_plan_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-det``."""
    add_train_arguments(parser, config=False)
    add_plan_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, and leave a run folder."""
    check_plan_arguments(args)
    from resdet.config.schema import DetectionRunConfig
    from resdet.inference.device import select_device
    from resdet.training.plan import parse_budget, planned_detection
    from resdet.training.train import train_config

    if args.data:
        config = planned_detection(
            args.data,
            device=select_device(args.device),
            output=args.output,
            model=args.model,
            budget=parse_budget(args.budget or "30min"),
            overrides=args.overrides,
            resume=args.resume,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
    else:
        config = run_config(args, DetectionRunConfig)
    print_results(train_config(config, device=args.device, resume=args.resume).results)
    return 0
