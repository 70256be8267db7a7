"""The table of a user's mistakes: what goes wrong, the exit status, and the one line that says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from error_lab import Lab

from resdet.cli import main


@dataclass(frozen=True)
class Row:
    """A mistake.

    Attributes:
        name: what is broken.
        make: breaks it and returns the command.
        status: the exit status.
        lines: a regular expression for each ``error: `` line, in order.
        after: what must hold in the lab then.
    """

    name: str
    make: Callable[[Lab], list[str]]
    status: int
    lines: tuple[str, ...]
    after: Callable[[Lab], bool] = field(default=lambda lab: True)


def row(name: str, make: Callable[[Lab], list[str]], status: int, *lines: str, **more: Any) -> Row:
    return Row(name, make, status, lines, **more)


def no_run_folder(lab: Lab) -> bool:
    return not lab.output.exists()


def check(mistake: Row, lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """Make the mistake; it must be told as its row says, each problem in one line, and nothing must follow."""
    command = mistake.make(lab)
    capfd.readouterr()
    status = main(command)
    errors = capfd.readouterr().err
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert status == mistake.status, errors
    assert len(lines) == len(mistake.lines), errors
    for line, pattern in zip(lines, mistake.lines, strict=True):
        assert re.search(pattern, line), f"{pattern}\n{line}"
    assert "Traceback" not in errors, errors
    assert errors.splitlines()[-len(lines) :] == lines, errors
    assert mistake.after(lab), "what must hold afterwards does not"
