"""What is said of this machine: versions, device, and the ways that were measured on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resdet.facts.machine import kernels_text, versions
from resdet.ops.kernels import Kernels, machine_key

Remember = Callable[[dict[str, dict[str, str]]], Path]


@pytest.fixture
def remember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remember:
    """Writes the file of answers, which is then the one of this machine."""
    file = tmp_path / "kernels.json"
    monkeypatch.setattr("resdet.facts.machine.default_kernels", lambda: Kernels(file=file))

    def write(answers: dict[str, dict[str, str]]) -> Path:
        file.write_text(json.dumps(answers))
        return file

    return write


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resdet.facts.machine._PACKAGES", ("torch", "no-such-package"))
    found = versions()
    assert list(found) == ["python", "torch", "no-such-package", "device"]
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["no-such-package"] == "not installed"


def test_the_ways_of_this_machine_are_sorted_by_their_name(remember: Remember) -> None:
    file = remember({machine_key(): {"rows b": "torch", "maps": "onednn", "rows a": "torch"}, "another": {"x": "torch"}})
    assert kernels_text().splitlines() == [
        f"fastest ways on {machine_key()}",
        "  onednn:    maps",
        "  torch:     rows a; rows b",
        f"  remembered in {file}",
    ]


def test_nothing_was_measured(remember: Remember) -> None:
    expected = f"fastest ways on {machine_key()}\n  none measured yet: preparing a detector on a CPU, or training one, does"
    assert kernels_text() == expected
    remember({"another": {"x": "torch"}})
    assert kernels_text() == expected
