"""`resdet bench`, with benchmarks that take no time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from resdet.cli import main
from resdet.commands import bench

SCRIPT = '''"""Time the {name} thing.

More words.
"""
import json, sys

def main():
    assert "{name}" != "broken"
    given = sys.argv[1:]
    medians = {{"resdet": 0.5, "other": 2.0}}
    ways = {{way: {{field: {{"median": factor * cpu}} for field, factor in (("cpu", 1), ("wall", 2), ("bytes", 2**20))}}
            for way, cpu in medians.items()}}
    common = {{"threads": 2, "ours": "resdet", "ways": ways}}
    results = [
        {{"name": "{name} |", "at_most": 0.3, "unit": "CPU s", "peer": "other", "figure": 0.25, "reached": True, **common}},
        {{"name": "memory", "at_most": 2**19, "unit": "bytes", "peer": None, "figure": 2**20, "reached": False, **common}},
        {{"name": "only recorded", "at_most": None, "unit": "CPU s", "peer": "other", "figure": 4, "reached": None, **common}},
    ]
    machine = {{"cpu": "Z80", "cores": 1, "memory": 2**31, "gpu": "none at all"}}
    found = {{"quick": "--quick" in given, "command": "python benchmarks/{name}.py", "date": "2026-01-02T03:04:05+00:00",
              "commit": "abc", "machine": machine, "versions": {{"python": "3"}}, "given": given, "results": results}}
    open(given[given.index("--output") + 1], "w").write(json.dumps(found))
    print("its own table")

if __name__ == "__main__":
    main()
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two benchmarks, and a module that is none."""
    path = tmp_path / "benchmarks"
    path.mkdir()
    for name in ("input", "inference"):
        (path / f"{name}.py").write_text(SCRIPT.format(name=name))
    (path / "measure.py").write_text('"""The frame."""\n')
    monkeypatch.setattr(bench, "shipped_folder", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return path


def test_one_table_of_all_claims(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--threads", "1", "2", "--repeats", "3", "--output", str(tmp_path / "out")]) == 0
    out, err = capfd.readouterr()
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in out.splitlines()]
    assert len({len(line) for line in out.splitlines()}) == 1  # in columns
    assert [line[0] for line in lines[2:]] == [
        "inference \\|",
        "memory",
        "only recorded",
        "input \\|",
        "memory",
        "only recorded",
    ]
    assert lines[2][1:] == ["2", "resdet: 0.5 CPU s", "other: 2 CPU s", "0.250", "0.3", "reached", "0.250", "0 / 2"]
    assert lines[3][1:] == ["2", "resdet: 0.5 MiB", "-", "-", "0.5 MiB", "falls short", "-", "-"]
    assert lines[4][4:] == ["4.000", "-", "", "0.250", "0 / 2"]
    assert err.count("its own table") == 2
    collected = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert list(collected) == ["inference", "input"]
    assert collected["input"]["given"][:-1] == ["--repeats=3", "--threads", "1", "2", "--output"]


@pytest.mark.parametrize("given", [None, "elsewhere"])
def test_the_scripts_import_the_checkout_s_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], given: str | None
) -> None:
    package = folder.parent / "resdet"
    package.mkdir()
    (package / "__init__.py").write_text("HERE = True\n")
    (folder / "input.py").write_text(f"import os, resdet, sys\nprint(os.environ['PYTHONPATH'], resdet.HERE)\n{SCRIPT}")
    monkeypatch.setattr(bench, "checkout", lambda: folder.parent)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if given:
        monkeypatch.setenv("PYTHONPATH", given)
    main(["bench", "input"])
    paths = [str(folder.parent), *([given] if given else [])]
    assert f"{os.pathsep.join(paths)} True\n" in capfd.readouterr().err


def test_chosen_ones_join_what_was_found_before(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "input"]) == 0
    assert main(["bench", "inference", "--quick"]) == 0
    assert "input" not in capfd.readouterr().out.splitlines()[-1]
    collected = json.loads(Path("runs/bench/bench.json").read_text())
    assert [collected[name]["quick"] for name in ("inference", "input")] == [True, False]


def test_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    assert capsys.readouterr().out == "inference  Time the inference thing.\ninput      Time the input thing.\n"
    assert not Path("runs").exists()


def test_a_benchmark_that_fails_does_not_stop_the_others(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.py").write_text(SCRIPT.format(name="broken"))
    assert main(["bench"]) == 1
    out, err = capfd.readouterr()
    assert "error: benchmark broken: failed with status 1" in err
    assert len(out.splitlines()) == 8
    assert list(json.loads(Path("runs/bench/bench.json").read_text())) == ["inference", "input"]


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (["inptu"], ["benchmark 'inptu': no such one (did you mean 'input'?)"]),
        (
            ["x", "--threads", "0", "--repeats", "-1"],
            [
                "benchmark 'x': no such one (known: inference, input)",
                "--threads must be at least 1, got 0",
                "--repeats must be at least 1, got -1",
            ],
        ),
        (["--page", "p.md", "input"], ["--page goes with --output alone: it runs nothing"]),
    ],
)
def test_wrong_arguments(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problems: list[str]) -> None:
    assert main(["bench", *arguments]) == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {problem}" for problem in problems]


def test_installed_without_benchmarks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert main(["bench"]) == 2
    assert "the package is not installed as a whole" in capsys.readouterr().err


def test_a_page(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = Path("performance.md")
    page.write_text(f"before\n{bench._BEGIN}\nold\n{bench._END}\nafter\n")
    assert main(["bench", "--page", str(page)]) == 3  # nothing was measured
    assert main(["bench", "--quick"]) == 0
    capfd.readouterr()
    assert main(["bench", "--page", str(page)]) == 2
    assert "of --quick, which measures nothing: inference, input" in capfd.readouterr().err
    assert "old" in page.read_text()
    assert main(["bench"]) == 0
    table = capfd.readouterr().out
    for _ in range(2):
        assert main(["bench", "--page", str(page)]) == 0
        assert page.read_text() == (
            f"before\n{bench._BEGIN}\n{table}\n- `python benchmarks/inference.py` (2026-01-02), `python benchmarks/input.py` "
            f"(2026-01-02): Z80, 1 cores, 2 GiB, none at all; python 3; commit abc.\n{bench._END}\nafter\n"
        )


@pytest.mark.parametrize(
    ("collected", "page", "status", "message"),
    [
        ("{}", "no marks", 2, "performance.md: needs a line <!-- resdet bench: begin --> and after it a line <!--"),
        ("{}", f"{bench._END}{bench._BEGIN}", 2, "needs a line"),
        ("[]", "", 3, "must be an object, as a benchmark writes it, got list"),
        ('{"input": {}}', "", 3, "is not what resdet bench wrote: KeyError('quick')"),
        ("{", "", 3, "is not JSON"),
    ],
)
def test_a_page_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], collected: str, page: str, status: int, message: str
) -> None:
    Path("performance.md").write_text(page)
    Path("bench.json").write_text(collected)
    assert main(["bench", "--page", "performance.md", "--output", "."]) == status
    assert message in capsys.readouterr().err
    assert Path("performance.md").read_text() == page
