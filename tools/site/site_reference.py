"""The reference pages, from the code itself: options, shipped run files, commands, and what ``resdet`` exports."""

import argparse
import functools
import html
import re
from collections.abc import Iterator
from typing import Any

import resdet
from resdet.cli import COMMANDS, command_parser
from resdet.config import load_config
from resdet.facts.run_files import RunOption, run_options
from resdet.shipped import said_by_run_file, shipped_folder

_ASKED = re.compile(r"^<!-- generated: (\w+) ?(\w*) -->$", re.MULTILINE)
_WIDTH = 100  # letters of a usage
_MANY = {None: "{0}", "?": "[{0}]", "*": "[{0} …]", "+": "{0} [{0} …]", argparse.REMAINDER: "…"}


def with_reference(markdown: str) -> str:
    """A page with each line ``<!-- generated: KIND ARGUMENT -->`` replaced by what it asks for."""
    kinds = {"options": options, "commands": commands, "python": python, "run_files": run_files}
    return _ASKED.sub(lambda asked: kinds[asked[1]](*filter(None, [asked[2]])), markdown)


def options(task: str) -> str:
    """The options of a task's run files, a heading for each section."""
    sections: dict[str, list[RunOption]] = {}
    for option in run_options(task):
        sections.setdefault(option.name.rpartition(".")[0], []).append(option)
    return "\n".join(line for name, members in sections.items() for line in _section(name, members))


def commands() -> str:
    """Every command, and every action of those that have some."""
    return "\n".join(line for name in COMMANDS for line in _command(command_parser(name), "##"))


def python() -> str:
    """What ``resdet`` exports, for mkdocstrings."""
    return "\n".join(f"::: resdet.{name}\n" for name in resdet.__all__ if not name.startswith("_"))


def run_files() -> str:
    """The shipped run files: a table of what each costs and is to reach, and their texts."""
    paths = sorted(shipped_folder("configs").glob("*.yaml"))
    texts = (f"## {path.stem}\n\n```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```\n" for path in paths)
    head = ["| run file | steps × images | hardware | time | to reach |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_run_file(path.stem) for path in paths), "", *texts])


def _run_file(name: str) -> str:
    config = load_config(name)
    epochs = config.schedule.epochs
    steps = f"{epochs:g} epochs" if epochs else f"{config.schedule.iterations:,}"
    said = (_plain(said_by_run_file(name, what)) for what in ("Hardware", "Time", "To reach"))
    return f"| [{name}](#{name}) | {steps} × {config.run.batch} | {' | '.join(said)} |"


def _section(name: str, members: list[RunOption]) -> Iterator[str]:
    yield from (f"## {name or 'The run'}", "", members[0].section.partition("\n")[0], "")
    for option in members:
        allowed = f" · {_plain(option.allowed)}" if option.allowed else ""
        yield f"`{option.name}`{{ #{option.name} }} = {_value(option.default)}{allowed}\n:   {_plain(option.text)}\n"


def _value(default: Any) -> str:
    """A default as a run file spells it."""
    if default == "":
        return "empty"
    if isinstance(default, float):
        return f"`{default:.6g}`"
    if isinstance(default, bool) or default is None:
        return f"`{'null' if default is None else str(default).lower()}`"
    return f"`[{', '.join(_value(each).strip('`') for each in default)}]`" if isinstance(default, list) else f"`{default}`"


def _command(parser: argparse.ArgumentParser, heading: str) -> Iterator[str]:
    parser.formatter_class = functools.partial(argparse.HelpFormatter, width=_WIDTH)
    yield from (f"{heading} {parser.prog}", "", _plain(parser.description or ""), "", "```", _usage(parser), "```", "")
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    for action in sorted(actions, key=lambda action: bool(action.option_strings)):
        if not isinstance(action, argparse._SubParsersAction):
            yield f"`{_invocation(action)}`\n:   {_plain(_help(parser, action))}\n"
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _command(each, f"{heading}#")


def _usage(parser: argparse.ArgumentParser) -> str:
    first, *others = parser.format_usage().removeprefix("usage: ").rstrip().replace(" [-h]", "").splitlines()
    return "\n".join([first, *(f"    {line.strip()}" for line in others)])


def _invocation(action: argparse.Action) -> str:
    choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""
    name = action.metavar or choices or (action.dest.upper() if action.option_strings else action.dest)
    if not action.option_strings:
        return str(name)
    return " ".join([", ".join(action.option_strings), *([] if action.nargs == 0 else [_MANY[action.nargs].format(name)])])


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) + (" (required)" if action.option_strings and action.required else "")


def _plain(text: str) -> str:
    """A text with its inline code, and nothing else that markdown would take for markup."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_{}\[\]|#])", r"\\\1", html.escape(part)) for part in parts)
