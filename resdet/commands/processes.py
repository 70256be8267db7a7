"""Arguments of the commands that can run in several processes, and how they do."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.distributed.ranks import Ranks

_MOST = 1024  # processes of one machine
PATIENCE = 1800.0  # that of resdet.distributed.join


def add_process_arguments(parser: argparse.ArgumentParser) -> None:
    """``--devices`` and what goes with it."""
    _add_launcher_arguments(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"of several processes: how long one waits for another before all end (default: {PATIENCE:g})",
    )


@contextlib.contextmanager
def together(args: argparse.Namespace) -> Iterator[Ranks]:
    """The processes that do the work of a command, this one alone or those that torchrun started, until it is done."""
    if (args.nnodes, args.rdzv_endpoint, args.max_restarts) != ("1", "", 0):
        raise ConfigError("--nnodes, --rdzv-endpoint and --max-restarts go with --devices")
    _check_timeout(args)
    if args.timeout != PATIENCE and "RANK" not in os.environ:
        raise ConfigError(f"--timeout goes with --devices: one process waits for no other, got {args.timeout:g}")
    from resdet.distributed.join import joined

    with joined(args.device, args.timeout) as ranks:
        if ranks.restarted and "resume" in args:  # what has been trained is to go on, whatever the command said
            args.resume, args.restart = True, False
        yield ranks


def launched(args: argparse.Namespace) -> int:
    """Run this command in ``--devices`` processes; returns their exit status."""
    _check_timeout(args)
    if not 1 <= args.devices <= _MOST:
        raise ConfigError(f"--devices must be 1 … {_MOST}, got {args.devices}")
    from resdet.distributed.launch import launch

    return launch(
        _without_launcher(args.command_line),
        args.devices,
        nodes=args.nnodes,
        endpoint=args.rdzv_endpoint,
        restarts=args.max_restarts,
    )


def _check_timeout(args: argparse.Namespace) -> None:
    if not args.timeout > 0:  # NaN neither
        raise ConfigError(f"--timeout must be above 0, got {args.timeout:g}")


def _without_launcher(command_line: Sequence[str]) -> list[str]:
    """The command line that each process gets."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_launcher_arguments(parser)
    return parser.parse_known_args(command_line)[1]


def _add_launcher_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--devices", type=int, metavar="N", help="run in N processes on this machine, one on each GPU; torchrun does the same"
    )
    parser.add_argument("--nnodes", default="1", metavar="N", help="with --devices: the number of machines, or MIN:MAX")
    parser.add_argument(
        "--rdzv-endpoint", default="", metavar="HOST:PORT", help="with --devices: where the processes of all machines meet"
    )
    parser.add_argument(
        "--max-restarts",
        type=int,
        default=0,
        metavar="N",
        help="with --devices: how often all processes are started again when one has died; they go on from the last checkpoint",
    )
