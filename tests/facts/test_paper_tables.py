"""The paper's tables: one file says all, the page shows it, and every command is one."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from resdet.cli import main
from resdet.config import load_config
from resdet.config.schema import RUN_CONFIGS
from resdet.facts.paper_tables import Measurement, Row, Table, paper_tables, table_text

ROOT = Path(__file__).resolve().parents[2]
TABLES = paper_tables()
ROWS = [pytest.param(table, row, id=f"{table.key} {row.name}") for table in TABLES.values() for row in table.rows]


def test_there_are_tables_2_to_14() -> None:
    assert list(TABLES) == [f"table{number}" for number in range(2, 15)]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_row_is_whole(table: Table, row: Row) -> None:
    assert len(row.to_reach) == len(table.columns)
    assert bool(row.command) != bool(row.not_here)
    for name in re.findall(r"--config (\w+)", row.command):
        assert load_config(name).task
    for run in row.runs:
        assert len(run.ours) == len(table.columns)
        assert run.hardware
        assert run.time
        assert (ROOT / "docs" / run.where).exists()


def test_some_numbers_of_the_paper() -> None:
    rows = {(table.key, row.name): row.to_reach for table in TABLES.values() for row in table.rows}
    assert rows["table6", "ResNet-20"] == (8.75,)
    assert rows["table4", "ResNet-152"] == (19.38, 4.49)
    assert rows["table9", "+ box refinement, val"] == (49.9, 29.9)
    assert rows["table14", "ResNet, ensemble"] == (8.9, 9.0)


def test_the_page_shows_the_file() -> None:
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(ROOT / "tools" / "paper_page.py"))["with_tables"](page) == page, "run tools/paper_page.py"


@pytest.mark.parametrize("name", ["paper.md", "paper_differences.md"])
def test_the_files_that_the_pages_name_exist(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|yaml))`", page))
    folders = (ROOT, ROOT / "resdet", ROOT / "tests")
    assert [each for each in sorted(named) if not any((folder / each).is_file() for folder in folders)] == []


@pytest.mark.parametrize("name", ["paper.md", "paper_differences.md"])
def test_the_options_that_the_pages_name_exist(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:model|data|schedule|regularization|test|run)\.[\w.]+)(?:=[^`]*)?`", page))
    named = {each for each in named if not each.endswith(".py")}
    for option in named:
        assert any(_has(config, option) for config in RUN_CONFIGS.values()), option


def _has(config: type, option: str) -> bool:
    part: object = config()
    for name in option.split("."):
        if not hasattr(part, name):
            return False
        part = getattr(part, name)
    return True


def test_a_measured_row() -> None:
    runs = tuple(
        Measurement(seed, (value, None), "one GPU", f"{seed + 1} h", "results") for seed, value in ((0, 8.5), (1, 8.9))
    )
    rows = (
        Row("net", (8.75, None), "resdet train-cls --config cifar10_r20", runs=runs, note="a note"),
        Row("other", (1.0, 2.5), not_here="another network"),
        Row("third", (None, 3.0), "resdet a; by hand"),
    )
    assert table_text(Table("table6", "CIFAR-10", ("error, %", "AP, %"), rows)).splitlines() == [
        "**Table 6**: CIFAR-10 (error, %; AP, %)",
        "",
        "| row | to reach | ours | seeds | command | hardware | time |",
        "|---|---|---|---|---|---|---|",
        "| net | 8.75 / – | [8.70 ± 0.28 / –](results) | 0, 1 | `resdet train-cls --config cifar10_r20` | one GPU | 1 h; 2 h |",
        "| other | 1 / 2.5 | another network | – | – | – | – |",
        "| third | – / 3 | not run | – | `resdet a`; by hand | – | – |",
        "",
        "- net: a note",
    ]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", "table6", "table13"]) == 0
    printed = capsys.readouterr().out
    assert printed == f"{table_text(TABLES['table6'])}\n\n{table_text(TABLES['table13'])}\n"
    assert main(["paper"]) == 0
    assert capsys.readouterr().out.count("**Table ") == len(TABLES)
    assert main(["paper", "tabel6", "table1"]) == 2
    assert "no table 'tabel6' (did you mean 'table6'?): must be table2 … table14" in capsys.readouterr().err
