"""The run files that the documents show, and those that lie beside recorded results, load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from resdet.config import load_config
from resdet.config.schema import DetectionRunConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "datasets").glob("*.md")])
BLOCKS = [
    pytest.param(
        match[1], id=f"{page.relative_to(ROOT)}:{page.read_text(encoding='utf-8')[: match.start()].count(chr(10)) + 1}"
    )
    for page in PAGES
    for match in re.finditer(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
]
RUN_FILES = sorted((ROOT / "docs").rglob("*.yaml"))


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 6
    assert RUN_FILES


@pytest.mark.parametrize("text", BLOCKS)
def test_a_block_of_a_document_is_a_run_file_or_a_part_of_one(text: str, tmp_path: Path) -> None:
    shown = yaml.safe_load(text)
    path = tmp_path / "mine.yaml"
    path.write_text(text if {"base", "task"} & shown.keys() else f"base: coco_r50\n{text}", encoding="utf-8")
    config = load_config(path)
    assert isinstance(config, DetectionRunConfig)
    for name in ("train", "val"):  # what is shown is all that its sources have
        if name in shown.get("data", {}):
            given = shown["data"][name]
            sources = config.data.train if name == "train" else [config.data.val]
            for source, options in zip(sources, given if name == "train" else [given], strict=True):
                assert {key: value for key, value in vars(source).items() if value} == {"format": "coco", **options}


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_run_file_beside_results(path: Path) -> None:
    assert load_config(path).model
