"""The Python of the documents is right by its types, and runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import as_module, make_files, mypy, python_blocks

from resdet.models.backbones import registry

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/python.md", "docs/lesson.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the blocks run: with all that they read."""
    folder = tmp_path_factory.mktemp("documents")
    make_files(folder)
    yield folder
    for large in folder.glob("*.safetensors"):
        large.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore:frozen BN has mean 0")
def test_every_block_runs(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, all blocks of a page in one namespace."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(registry, "_NETWORKS", dict(registry._NETWORKS))  # what a page registers is gone after it
    blocks = python_blocks((ROOT / page).read_text(encoding="utf-8"))
    assert blocks
    names: dict[str, Any] = {}
    for start, code in blocks:
        exec(compile("\n" * start + code, page, "exec"), names)


@pytest.mark.slow
def test_the_types_of_every_block(tmp_path: Path) -> None:
    files: list[Path] = []
    for page in PAGES:
        path = tmp_path / (page.replace("/", "_").replace(".md", "") + ".py")
        path.write_text(as_module((ROOT / page).read_text(encoding="utf-8")), encoding="utf-8")
        files.append(path)
    checked = mypy(*files)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_blocks_keep_their_lines() -> None:
    page = "# a\n```python\nx = 1\n```\ntext\n```\nno python\n```\n\n```python\ny = x\nz = y\n```\n"
    assert python_blocks(page) == [(2, "x = 1\n"), (10, "y = x\nz = y\n")]
    assert as_module(page) == "\n\nx = 1\n\n\n\n\n\n\n\ny = x\nz = y\n"
