"""Arguments of the commands that plan a training run for data of one's own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from resdet.commands.common import move_aside
from resdet.console import say
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.config.check import RunFile


def add_plan_arguments(parser: argparse.ArgumentParser, data: str, models: str) -> None:
    """``--data``, ``--model`` and ``--budget``.

    Args:
        parser: gets the arguments.
        data: what ``--data`` may name.
        models: the values of ``--model``.
    """
    parser.add_argument(
        "--data",
        metavar="PATH",
        help=f"instead of --config: {data}; everything else is chosen from the data, the machine and --budget",
    )
    parser.add_argument("--model", help=f"with --data: {models} (default: r18 on a CPU, r50 on a GPU)")
    parser.add_argument("--budget", metavar="TIME", help="with --data: how long training may take (default: 30min)")


def check_plan_arguments(args: argparse.Namespace) -> None:
    """A ConfigError unless there is either a run file or data, and arguments of the latter only with it."""
    if bool(args.config) == bool(args.data):
        raise ConfigError("give either --config FILE, a run file, or --data PATH, your own data")
    for name in ("model", "budget"):
        if args.config and getattr(args, name):
            raise ConfigError(f"--{name} goes with --data; with --config, the run file says it")


def planned_config(args: argparse.Namespace, task: str) -> RunFile:
    """The config of the run that is planned for ``--data``; the plan goes to the error output."""
    from resdet.inference.device import select_device
    from resdet.training.plan import parse_budget, planned_run
    from resdet.training.plan.run import run_folder

    if args.restart:
        move_aside(run_folder(args.data, args.output))
    return planned_run(
        args.data,
        task=task,
        device=select_device(args.device),
        output=args.output,
        model=args.model,
        budget=parse_budget(args.budget or "30min"),
        overrides=args.overrides,
        resume=args.resume,
        say=lambda line: say(line, error=True),
    )
