"""What benchmarks found on several machines: joined, shown as a table, and put into a page."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from resdet.cli import main
from resdet.commands.bench_isa import CAPS
from resdet.commands.bench_page import BEGIN, END, joined, table

AVX2 = dict(CAPS["avx2"])


def result(name: str = "step", cpu: float = 1.0, **changes: Any) -> dict[str, Any]:
    ways = {way: {"cpu": {"median": value}, "wall": {"median": value}} for way, value in (("ours", cpu), ("theirs", 2.0))}
    usual = {"at_most": 0.5, "unit": "CPU s", "threads": 1, "ours": "ours", "peer": "theirs", "kernels": []}
    return {"name": name, "figure": cpu / 2, "reached": cpu <= 1, "ways": ways, **usual, **changes}


def run(*results: dict[str, Any], cpu: str = "Old", date: str = "2026-01-01T00:00:00+00:00", **changes: Any) -> dict[str, Any]:
    caps = changes.pop("caps", {})
    machine = {"cpu": cpu, "cores": 2, "memory": 8 * 2**30, "gpu": None, "isa": ["AVX2"], "caps": caps}
    usual = {"benchmark": "training", "quick": False, "command": "python x.py", "commit": "c", "versions": {"torch": "2"}}
    return {**usual, "machine": machine, "missing": [], "date": date, "results": list(results), **changes}


def shown(runs: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the table's rows: claim, machine, threads, ours, peer."""
    rows = [line for line in table(runs).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")][:5] for row in rows]


@pytest.mark.parametrize(
    ("newer", "left"),
    [
        (run(result()), []),
        (run(result(), caps=AVX2), ["a", "b"]),
        (run(result(), cpu="New"), ["a", "b"]),
        (run(result(), quick=True), ["a", "b"]),
        (run(result(), benchmark="inference"), ["a", "b"]),
        (run(result(threads=2)), ["a", "b"]),
        (run(result(peer="another")), ["a", "b"]),
        (run(result("else")), ["a", "b"]),
    ],
)
def test_only_the_same_claim_of_the_same_machine_is_replaced(newer: dict[str, Any], left: list[str]) -> None:
    older = run(result(), result("kept"))
    found = joined([older], [newer])
    names = [each["name"] for one in found if one["date"] == older["date"] and one is not newer for each in one["results"]]
    assert names == (["step", "kept"] if left else ["kept"])
    assert newer in found
    assert older == run(result(), result("kept"))  # nothing is changed in place


def test_a_run_of_which_nothing_is_left_is_gone() -> None:
    newer = run(result(cpu=3.0), date="2026-02-01T00:00:00+00:00")
    assert joined([run(result())], [newer]) == [newer]


def test_rows_of_a_claim_stand_together_whatever_machine_they_are_of() -> None:
    runs = [run(result(), result("more")), run(result(threads=2), result("more"), cpu="New"), run(result(), caps=AVX2)]
    assert [row[:3] for row in shown(runs)] == [
        ["step", "A", "1"],
        ["step", "A, capped to AVX2", "1"],
        ["step", "B", "2"],
        ["more", "A", "1"],
        ["more", "B", "1"],
    ]
    lines = table(runs).splitlines()
    assert "- **A**: Old, 2 cores, 8 GiB; AVX2." in lines
    assert "- **B**: New, 2 cores, 8 GiB; AVX2." in lines
    capped = "; ".join(f"{name}={value}" for name, value in AVX2.items())
    assert f"- **A, capped to AVX2**: Old, 2 cores, 8 GiB; AVX2; {capped}." in lines


def test_other_caps_are_shown_as_they_are() -> None:
    ((_, machine, *_),) = shown([run(result(), caps={"MKL_CBWR": "COMPATIBLE"})])
    assert machine == "A, MKL_CBWR=COMPATIBLE"


def test_kernels_are_said_once_for_all_claims_that_have_them() -> None:
    packed, torch_mm = {"kernels": ["rows: packed", "maps: Winograd"]}, {"kernels": ["rows: mm"]}
    found = table([run(result(**packed), result("more", **packed), result("last", **torch_mm), result("none"))]).splitlines()
    assert [line for line in found if line.startswith("- Kernels")] == [
        "- Kernels of step and of more (A; threads: 1): rows: packed; maps: Winograd.",
        "- Kernels of last (A; threads: 1): rows: mm.",
    ]


def test_a_claim_that_counts_multiply_adds_shows_its_rate() -> None:
    (row,) = shown([run(result(multiply_adds=5e9, at_most=None, reached=None))])
    assert row[3:] == ["ours: 5 G/s", "theirs: 2.5 G/s"]


def test_a_page_of_two_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, here, other = Path("p.md"), run(result()), run(result(), result("more"), cpu="New")
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    Path("bench.json").write_text(json.dumps({"runs": [here, run(result("quick"), quick=True)]}))
    Path("other.json").write_text(json.dumps({"runs": [other]}))
    for _ in range(2):
        assert main(["bench", "--page", "p.md", "--output", ".", "--also", "other.json"]) == 0
        assert page.read_text() == f"before\n{BEGIN}\n{table(joined([other], [here]))}\n{END}\nafter\n"
    assert page.read_text().count("| step") == 2


def _old() -> dict[str, Any]:
    run_without = copy.deepcopy(run(result()))
    del run_without["machine"]["caps"]
    return run_without


@pytest.mark.parametrize(
    ("content", "page", "status", "message"),
    [
        ('{"runs": []}', f"{BEGIN}{END}", 2, "nothing to show"),
        (json.dumps({"runs": [run(result(), quick=True)]}), f"{BEGIN}{END}", 2, "runs of --quick alone"),
        (json.dumps({"runs": [run(result())]}), "no marks", 2, "p.md: needs a line <!-- resdet bench: begin -->"),
        (json.dumps({"runs": [run(result())]}), f"{END}{BEGIN}", 2, "needs a line"),
        (json.dumps({"runs": [_old()]}), "", 3, "bench.json: is not what resdet bench wrote: KeyError('caps')"),
        ('{"runs": [{"benchmark": "x"}]}', "", 3, "is not what resdet bench wrote: KeyError('results')"),
        ('{"input": {}}', "", 3, "is not what resdet bench wrote: KeyError('runs')"),
        ("[]", "", 3, "is not what resdet bench wrote: TypeError"),
        ('{"runs": [3]}', "", 3, "is not what resdet bench wrote: TypeError"),
        ("{", "", 3, "is not JSON"),
        (None, "", 3, "bench.json"),
    ],
)
def test_a_page_that_cannot_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    page: str,
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.md").write_text(page)
    if content is not None:
        Path("bench.json").write_text(content)
    assert main(["bench", "--page", "p.md", "--output", "."]) == status
    assert message in capsys.readouterr().err
    assert Path("p.md").read_text() == page
