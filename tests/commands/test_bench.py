"""`resdet bench`, with benchmarks that take no time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from resdet.bench import caps, scripts
from resdet.cli import main

SCRIPT = '''"""Time the {name} thing.

More words.
"""
import json, os, sys

def main():
    assert "{name}" != "broken"
    given = sys.argv[1:]
    medians = {{"resdet": 0.5, "other": 2.0}}
    ways = {{way: {{field: {{"median": factor * cpu}} for field, factor in (("cpu", 1), ("wall", 2), ("bytes", 2**20))}}
            for way, cpu in medians.items()}}
    common = {{"threads": 2, "ours": "resdet", "ways": ways, "kernels": []}}
    results = [
        {{"name": "{name} |", "at_most": 0.3, "unit": "CPU s", "peer": "other", "figure": 0.25, "reached": True, **common}},
        {{"name": "memory", "at_most": 2**19, "unit": "bytes", "peer": None, "figure": 2**20, "reached": False, **common}},
        {{"name": "only recorded", "at_most": None, "unit": "CPU s", "peer": "other", "figure": 4, "reached": None, **common}},
    ]
    caps = {{name: value for name, value in os.environ.items() if name.startswith(("ONEDNN_MAX", "ATEN_CPU", "MKL_ENABLE"))}}
    machine = {{"cpu": "Z80", "cores": 1, "memory": 2**31, "gpu": "none at all", "isa": ["NMOS"], "caps": caps}}
    found = {{"quick": "--quick" in given, "command": "python benchmarks/{name}.py", "date": "2026-01-02T03:04:05+00:00",
              "commit": "abc", "machine": machine, "versions": {{"python": "3"}},
              "missing": ["other2"], "given": given, "results": results}}
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
    monkeypatch.setattr(scripts, "shipped_folder", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in caps.CAPS["avx2"]:
        monkeypatch.delenv(name, raising=False)
    return path


def test_one_table_of_all_claims(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--threads", "1", "2", "--repeats", "3", "--output", str(tmp_path / "out")]) == 0
    out, err = capfd.readouterr()
    rows, _, below = out.partition("\n\n")
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.splitlines()]
    assert len({len(line) for line in rows.splitlines()}) == 1  # in columns
    assert [line[0] for line in lines[2:]] == [
        "inference \\|",
        "memory",
        "only recorded",
        "input \\|",
        "memory",
        "only recorded",
    ]
    assert lines[2][1:] == ["A", "2", "resdet: 0.5 CPU s", "other: 2 CPU s", "0.250", "0.3", "reached", "0.250", "0 / 2"]
    assert lines[3][1:] == ["A", "2", "resdet: 0.5 MiB", "-", "-", "0.5 MiB", "falls short", "-", "-"]
    assert lines[4][5:] == ["4.000", "-", "", "0.250", "0 / 2"]
    assert err.count("its own table") == 2
    commands = "`python benchmarks/inference.py` (2026-01-02), `python benchmarks/input.py` (2026-01-02)"
    origin = f"- {commands}: A, none at all; python 3; commit abc; not installed: other2."
    assert below.splitlines() == ["- **A**: Z80, 1 cores, 2 GiB; NMOS.", origin]
    runs = json.loads((tmp_path / "out" / "bench.json").read_text())["runs"]
    assert [run["benchmark"] for run in runs] == ["inference", "input"]
    assert runs[1]["given"][:-1] == ["--repeats=3", "--threads", "1", "2", "--output"]


@pytest.mark.parametrize("given", [None, "elsewhere"])
def test_the_scripts_import_the_checkout_s_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], given: str | None
) -> None:
    package = folder.parent / "resdet"
    package.mkdir()
    (package / "__init__.py").write_text("HERE = True\n")
    (folder / "input.py").write_text(f"import os, resdet, sys\nprint(os.environ['PYTHONPATH'], resdet.HERE)\n{SCRIPT}")
    monkeypatch.setattr(scripts, "checkout", lambda: folder.parent)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if given:
        monkeypatch.setenv("PYTHONPATH", given)
    main(["bench", "input"])
    paths = [str(folder.parent), *([given] if given else [])]
    assert f"{os.pathsep.join(paths)} True\n" in capfd.readouterr().err


def collected() -> list[tuple[str, bool, dict[str, str]]]:
    """Name, --quick and caps of the runs that were written."""
    runs = json.loads(Path("runs/bench/bench.json").read_text())["runs"]
    return [(run["benchmark"], run["quick"], run["machine"]["caps"]) for run in runs]


def test_chosen_ones_join_what_was_found_before(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for given in (["input"], ["inference", "--quick"], ["inference"], ["inference", "input"]):
        assert main(["bench", *given]) == 0
    assert sorted(name for name, quick, _ in collected() if not quick) == ["inference", "input"]
    assert [name for name, quick, _ in collected() if quick] == ["inference"]  # which replaces nothing that was measured


def test_a_cap_is_in_the_scripts_environment_and_its_numbers_stand_beside_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(caps, "_capability", lambda: "AVX512")
    assert main(["bench", "input"]) == 0
    assert main(["bench", "input", "--isa", "avx2"]) == 0
    assert "- **A, capped to AVX2**: Z80" in capfd.readouterr().out
    assert collected() == [("input", False, {}), ("input", False, dict(caps.CAPS["avx2"]))]


@pytest.mark.parametrize(("has", "given"), [("AVX2", None), ("DEFAULT", "default")])
def test_a_cap_above_what_the_cpu_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], has: str, given: str | None
) -> None:
    monkeypatch.setattr(caps, "_capability", lambda: has)
    if given:
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", given)
    assert main(["bench", "input", "--isa", "avx512"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: --isa avx512: torch finds {has} here" + (", for ATEN_CPU_CAPABILITY is default" if given else "")
    ]


def test_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    assert capsys.readouterr().out == "inference  Time the inference thing.\ninput      Time the input thing.\n"
    assert not Path("runs").exists()


def test_a_benchmark_that_fails_does_not_stop_the_others(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.py").write_text(SCRIPT.format(name="broken"))
    assert main(["bench"]) == 1
    out, err = capfd.readouterr()
    assert "error: benchmark broken: failed with status 1" in err
    assert len(out.partition("\n\n")[0].splitlines()) == 8
    assert [name for name, _, _ in collected()] == ["inference", "input"]


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
        (["--page", "p.md", "input"], ["--page goes with --output and --also alone: it runs nothing"]),
        (["--page", "p.md", "--isa", "avx2"], ["--page goes with --output and --also alone: it runs nothing"]),
        (["input", "--also", "x"], ["--also goes with --page: it names what the page is to show beside bench.json"]),
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
