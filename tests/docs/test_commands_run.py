"""The commands in the pages' blocks run, in a small world that has what they name, but for those that cannot."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from page_changes import CANNOT, CHANGES, DEAR, DEAR_PAGES, SLOW_PAGES, Change
from page_commands import commands
from page_world import make_world

from resdet.cli import main

ALL = os.environ.get("PAGE_COMMANDS") == "all"


def begins(command: str, beginnings: Mapping[str, object]) -> str | None:
    """The longest of the beginnings that a command has."""
    words = " ".join(command.split()) + " "
    return max((each for each in beginnings if words.startswith(f"{each} ")), key=len, default=None)


def small(command: str) -> list[str]:
    """The words of a command, changed so that it takes little time."""
    key = begins(command, CHANGES)
    change = CHANGES[key] if key else Change()
    return [change.other.get(word, word) for word in shlex.split(command)] + shlex.split(change.more)


def runs() -> dict[str, list[str]]:
    """By page the commands that are run; those under docs/results are records of what was measured."""
    left_out = CANNOT if ALL else CANNOT | DEAR
    found: dict[str, list[str]] = {}
    for page, command in commands():
        if not page.startswith("docs/results/") and (ALL or page not in DEAR_PAGES) and not begins(command, left_out):
            found.setdefault(page, []).append(command)
    return found


def test_the_tables_name_commands_of_the_pages() -> None:
    every = [command for _, command in commands()]
    assert [each for each in (CANNOT | DEAR | CHANGES) if not any(begins(command, {each: None}) for command in every)] == []
    assert set(DEAR_PAGES) < {page for page, _ in commands()}
    assert sum(map(len, runs().values())) > 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_world()
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW_PAGES)) for page in runs()])
def test_the_commands_of_a_page_run(
    page: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if page == "docs/export.md":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("openvino")
    shutil.copytree(world, tmp_path / "world", symlinks=True)
    monkeypatch.chdir(tmp_path / "world")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    failed = [
        f"{shlex.join(words)}: {capsys.readouterr().err.strip()[-500:]}" for words in map(small, runs()[page]) if main(words)
    ]
    assert not failed, "\n".join(failed)
