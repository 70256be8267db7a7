"""Every command in a block of the pages is one that resdet takes: its name, action, options and values are known."""

from __future__ import annotations

import re
import shlex

import pytest
from page_commands import ROOT, commands

from resdet.cli import _parse
from resdet.commands.parsers import command_parser


def test_there_are_many() -> None:
    assert len(commands()) > 100
    assert {"train-det", "train-cls", "train-loc", "eval", "predict", "data", "analyze", "convert", "export"} < {
        command.split()[0] for _, command in commands()
    }


@pytest.mark.parametrize("page", sorted({page for page, _ in commands()}))
def test_the_commands_of_a_page(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused = []
    for command in [command for own, command in commands() if own == page]:
        name, *arguments = shlex.split(command)
        try:
            _parse(command_parser(name), arguments)
        except SystemExit as ended:
            if ended.code:
                refused.append(f"{command}: {capsys.readouterr().err.splitlines()[-1]}")
    assert not refused, "\n".join(refused)


def test_their_run_files_are_shipped() -> None:
    named = {(page, name) for page, command in commands() for name in re.findall(r"--config ([a-z][\w-]+)(?=\s)", command)}
    assert len(named) > 10
    assert [each for each in sorted(named) if not (ROOT / "configs" / f"{each[1]}.yaml").is_file()] == []
