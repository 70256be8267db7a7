"""Arguments of the commands that plan a training run for data of one's own."""

from __future__ import annotations

import argparse

from resdet.errors import ConfigError


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """``--data``, ``--model`` and ``--budget``."""
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="instead of --config: a folder, an annotation file, a data.yaml or an archive of your own; everything else is "
        "chosen from the data, the machine and --budget",
    )
    parser.add_argument("--model", help="with --data: r18, r50 or r101 (default: r18 on a CPU, r50 on a GPU)")
    parser.add_argument("--budget", metavar="TIME", help="with --data: how long training may take (default: 30min)")


def check_plan_arguments(args: argparse.Namespace) -> None:
    """A ConfigError unless there is either a run file or data, and arguments of the latter only with it."""
    if bool(args.config) == bool(args.data):
        raise ConfigError("give either --config FILE, a run file, or --data PATH, your own data")
    for name in ("model", "budget"):
        if args.config and getattr(args, name):
            raise ConfigError(f"--{name} goes with --data; with --config, the run file says it")
