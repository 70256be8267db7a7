"""The command line: ``resdet COMMAND …``.

Exit status: 0 done, 1 failed, 2 wrong usage or config, 3 bad data, 130 interrupted. A user's mistake is told in one line,
without a traceback. Only the command that is run is imported, and it imports torch when it needs it, so help is instant.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from resdet.commands.parsers import COMMANDS, command_parser, summary
from resdet.console import open_closed_streams, plain, say, shortened, show_every_character, silence, told
from resdet.errors import ConfigError, PeerError, ResdetError, did_you_mean
from resdet.system import choose_how_threads_wait, give_missing_kernels_to_cpu, reader_has_left
from resdet.version import __version__
from resdet.wording import reason_of

_INTERRUPTED = 130
_COMPUTING = ("train-cls", "train-det", "train-loc", "eval", "predict", "analyze")
_SHOWN = 100  # problems: a data set without its images has one a file


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the command's name and its arguments; those of the process when not given.

    Returns:
        The exit status.

    Raises:
        SystemExit: from argparse, 2 on wrong usage and 0 after ``--help``.
    """
    open_closed_streams()
    show_every_character(sys.stdout, sys.stderr)
    give_missing_kernels_to_cpu()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        say(_overview(), error=True, lines=True, end="")
        return ConfigError.exit_status
    logging.basicConfig(handlers=[_log_handler()])
    logging.getLogger("resdet").setLevel(logging.WARNING if _rank() else logging.INFO)
    name, *arguments = given
    return _guarded(name, arguments)


def _log_handler() -> logging.Handler:
    """Prints log lines to standard error, with text from files made plain."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter(f"{_rank()}%(message)s"))
    return handler


class _PlainFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        return plain(super().formatMessage(record))


def _guarded(name: str, arguments: Sequence[str]) -> int:
    """Run a command and turn what a user can cause into text and an exit status."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return _run(name, arguments)
            finally:
                say("", end="", always=True)  # flushes now: when Python ends, it would complain of a reader that has left
    except ResdetError as error:
        _tell(error)
        return error.exit_status
    except OSError as error:
        if reader_has_left(error):
            silence(sys.stdout)
            return ResdetError.exit_status
        if error.strerror is None:  # not the system's word on a file or a disk
            raise
        say(f"error: {error.filename or 'writing'}: {error.strerror}", error=True, always=True)
        return ResdetError.exit_status
    except (RuntimeError, MemoryError) as error:
        reason = _want_of_memory(error) or _unknown_home(error)
        if not reason:
            raise
        say(f"error: {reason}", error=True, always=True)
        return ResdetError.exit_status
    except KeyboardInterrupt:
        say("error: interrupted", error=True, always=True)
        return _INTERRUPTED


def _tell(error: ResdetError) -> None:
    if isinstance(error, PeerError):  # the process that has failed tells of it
        return
    for problem in error.problems[:_SHOWN]:
        say(f"error: {shortened(problem)}", error=True, always=True)
    if len(error.problems) > _SHOWN:
        say(f"error: … and {len(error.problems) - _SHOWN} more", error=True, always=True)


def _want_of_memory(error: Exception) -> str:
    """What to tell a user whose machine is too small, by the words of torch's plain RuntimeErrors; "" for other errors."""
    text = reason_of(error, 200)
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return f"out of memory: {text}; a smaller run.batch, a larger run.accumulate, smaller images or 16 bits need less"
    if text.startswith("DataLoader worker"):
        why = "for want of memory or of room in /dev/shm perhaps"
        return f"a process that reads images was killed, {why}; fewer data.workers need less: {text}"
    return ""


def _unknown_home(error: Exception) -> str:
    """What to tell of a path like ~nobody/data, of which pathlib says no more than that."""
    return f"{error}: a path begins with ~" if str(error).startswith("Could not determine home directory") else ""


def _run(name: str, arguments: Sequence[str]) -> int:
    if name in ("-h", "--help"):
        say(_overview(), lines=True, end="")
        return 0
    if name in ("-V", "--version"):
        say(f"resdet {__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}{did_you_mean(name, list(COMMANDS))}")
    command = import_module(COMMANDS[name])
    if name in _COMPUTING:
        choose_how_threads_wait()
    args = _parse(command_parser(name), arguments)
    args.command_line = [name, *arguments]
    if args.quiet:
        logging.getLogger("resdet").setLevel(logging.WARNING)
    found: dict[str, Any] = {}
    try:
        with told(found, as_json=getattr(args, "json", False), quiet=args.quiet):
            return int(command.run(args))
    finally:
        if found:
            from resdet.files import json_ready  # which needs a package of others

            say(json.dumps(json_ready(found), indent=1, allow_nan=False), lines=True)


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse options and ``key=value`` arguments in any order, which argparse cannot do for a command with sub-commands."""
    if "--" in arguments:  # which argparse forgets when it looks for options again: a path such as -1.png is still none
        ends = list(arguments).index("--") + 1
        paths = [f"./{word}" if word.startswith("-") and word != "-" else word for word in arguments[ends:]]
        arguments = [*arguments[:ends], *paths]
    try:
        return parser.parse_intermixed_args(arguments)
    except TypeError:
        return parser.parse_args(arguments)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {summary(import_module(module))}" for name, module in COMMANDS.items()]
    return "\n".join(
        [
            "usage: resdet COMMAND ...",
            "",
            "Residual networks for image classification and object detection.",
            "",
            *lines,
            "",
            "resdet COMMAND --help describes a command, resdet --version prints the version.",
            "",
        ]
    )


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    # one line; where in the code a warning was raised says nothing to a user
    if not _rank():  # all processes read the same data and options
        say(f"warning: {shortened(str(message))}", error=True, always=True)


def _rank() -> str:
    """What is before the log lines of all but the first of several processes, of which only warnings and errors are shown."""
    rank = os.environ.get("RANK", "0")
    return f"rank {rank}: " if rank != "0" else ""
