"""What benchmarks found on several machines, as a table."""

from __future__ import annotations

from typing import Any

from bench_runs import AVX2, result, run

from resdet.bench.table import table


def shown(runs: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the table's rows: claim, machine, threads, ours, peer."""
    rows = [line for line in table(runs).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")][:5] for row in rows]


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
