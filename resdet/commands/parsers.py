"""The commands and their arguments; only the command that is asked for is imported."""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

# a command's module has ``add_arguments(parser)`` and ``run(args) -> exit status``; its docstring's first line is the help
COMMANDS = {
    "train-cls": "resdet.commands.train_cls",
    "train-det": "resdet.commands.train_det",
    "train-loc": "resdet.commands.train_loc",
    "eval": "resdet.commands.evaluate",
    "predict": "resdet.commands.predict",
    "convert": "resdet.commands.convert",
    "export": "resdet.commands.export",
    "weights": "resdet.commands.weights",
    "push": "resdet.commands.push",
    "data": "resdet.commands.data",
    "analyze": "resdet.commands.analyze",
    "report": "resdet.commands.report",
    "info": "resdet.commands.info",
    "paper": "resdet.commands.paper",
    "bench": "resdet.commands.bench",
    "completion": "resdet.commands.completion",
}
# the commands, and the actions of some, that print tables: they have --json
_TABLES = (
    *("train-cls", "train-det", "train-loc", "eval", "predict", "convert", "export", "analyze", "report", "info", "paper"),
    *("bench", "weights download", "data check", "data fix", "data stats", "data pca", "data mean"),
)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a command, with all its actions."""
    command = import_module(COMMANDS[name])
    parser = argparse.ArgumentParser(prog=f"resdet {name}", description=summary(command))
    add_all_arguments(parser, name)
    return parser


def add_all_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """The arguments of a command, and those of every command."""
    import_module(COMMANDS[name]).add_arguments(parser)
    _add_output_arguments(parser, name)


def summary(command: ModuleType) -> str:
    """What a command does, in a line."""
    return (command.__doc__ or "").partition("\n")[0]


def actions_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a command's actions, by their names; argparse has no public way to them."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: its_parser for group in groups for name, its_parser in group.choices.items()}


def _add_output_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """``--quiet``, and ``--json`` where there are tables; of a command with actions to each of them."""
    actions = actions_of(parser)
    for action, its_parser in actions.items():
        _add_output_arguments(its_parser, f"{name} {action}")
    if not actions:
        if name in _TABLES:
            parser.add_argument("--json", action="store_true", help="print the table as JSON")
        parser.add_argument("--quiet", action="store_true", help="print tables, warnings and errors alone")
