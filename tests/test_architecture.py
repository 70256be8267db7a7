"""The pages that describe the house describe it as it is: its rooms, its floors, and the way from a command to the loop."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import resdet
from resdet.data.synthetic.scenes import make_shapes

ROOT = Path(__file__).parents[1]
PACKAGE = Path(resdet.__file__).parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
RUN_FILE = """
task: detection
from_scratch: true
model:
  backbone: {name: resnet18, width: 4}
  anchors: {sizes: [16, 32]}
data:
  train: [{format: coco, root: shapes/images/train, annotations: shapes/annotations/instances_train.json}]
  short_side: [64]
  max_side: 96
  workers: 0
run: {batch: 2, kernels: torch}
"""


def rooms() -> set[str]:
    return {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}


def test_the_files_that_the_page_names_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) > 20
    assert [name for name in named if not (PACKAGE / name).is_file() and not (ROOT / name).is_file()] == []


def test_the_readme_names_every_room() -> None:
    house = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The house")[2].partition("\n## ")[0]
    assert set(re.findall(r"^  (\w+)/", house, re.MULTILINE)) == rooms()


def test_the_floors_are_those_of_the_contract() -> None:
    layers = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\nlayers = [")[2].partition("]")[0]
    contract = [set(re.findall(r"resdet\.(\w+)", floor)) for floor in re.findall(r'"([^"]+)"', layers)]
    there = {name for name in set.union(*contract) if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}
    floors = re.findall(r"^\| \d+ \| ([^|]+) \|", PAGE, re.MULTILINE)
    described = [set(re.findall(r"`(\w+)`", floor)) for floor in floors]
    assert described == [floor & there for floor in contract[1:]]  # __main__ is a line that calls cli
    assert set.union(*described) >= rooms()


def test_nothing_is_imported_in_a_circle() -> None:
    graph = grimp.build_graph("resdet")  # with what is imported for types alone
    pairs = [(module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)]
    acyclic(pairs)
    for folder in (module for module in graph.modules if module != "resdet" and graph.find_children(module)):
        depth = folder.count(".") + 2  # what lies in it is named by so many words
        inside = [pair for pair in pairs if all(name.startswith(f"{folder}.") for name in pair)]
        named = [[".".join(name.split(".")[:depth]) for name in pair] for pair in inside]
        acyclic((one, other) for one, other in named if one != other)


def acyclic(pairs: Iterable[tuple[str, str]]) -> None:
    """Raise a CycleError with the names of a circle; no name stands above itself."""
    sorter = TopologicalSorter[str]()
    for name, below in pairs:
        sorter.add(name, below)
    sorter.prepare()


@pytest.mark.slow
def test_the_way_to_the_loop_is_as_long_as_the_page_says(tmp_path: Path) -> None:
    make_shapes(tmp_path / "shapes", train=4, val=1, size=64, seed=0)
    (tmp_path / "tiny.yaml").write_text(RUN_FILE, encoding="utf-8")
    traced = subprocess.run(
        [sys.executable, ROOT / "tools" / "trace_run.py", "train-det", "--config", "tiny.yaml", "--output", "traced"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
        check=True,
    )
    *calls, summary = traced.stdout.splitlines()
    assert summary.replace("1 calls up", "1 call up") in PAGE
    compared = PAGE.partition("before Task and Run")[2].partition("```")[0]
    now = [line[57:].split() for line in compared.splitlines()[1:] if line[57:].strip()]
    if sys.version_info < (3, 11):  # which says a method's name without that of its class
        now = [[file, name.rpartition(".")[2], *rest] for file, name, *rest in now]
    assert [line.split() for line in calls] == now[:-1]  # below the calls stands the summary
