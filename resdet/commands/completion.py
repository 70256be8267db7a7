"""Print a script with which bash, zsh or tcsh completes the commands, options and files of resdet."""

from __future__ import annotations

import argparse
from importlib import import_module

from resdet.commands.parsers import COMMANDS, actions_of, add_all_arguments, summary
from resdet.console import say

_FILES = ("FILE", "PATH", "SRC", "DST", "RUN", "IMAGE")
_FOLDERS = ("DIR", "DEST")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``completion``."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script; docs/install.md says where it goes")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    whole = argparse.ArgumentParser(prog="resdet")
    commands = whole.add_subparsers()
    for name, module in COMMANDS.items():
        text = summary(import_module(module))
        add_all_arguments(commands.add_parser(name, help=text, description=text), name)
    _complete_files(whole)
    say(str(shtab.complete(whole, args.shell)), lines=True, always=True)
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Mark the arguments that are files or folders, by what their help calls them."""
    import shtab

    for action in parser._actions:
        if action.metavar in (*_FILES, *_FOLDERS):
            kind = shtab.FILE if action.metavar in _FILES else shtab.DIRECTORY
            action.complete = kind  # type: ignore[attr-defined]  # shtab's way of being told
    for its_parser in actions_of(parser).values():
        _complete_files(its_parser)
