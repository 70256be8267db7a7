"""What the benchmarks found: runs of scripts, on one machine or several, and which results are of the same claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Run = Mapping[str, Any]  # what a script wrote, with its name as "benchmark"
Result = Mapping[str, Any]  # one of a run's "results"


def joined(older: Iterable[Run], newer: Sequence[Run]) -> list[Run]:
    """All runs, without those results of the older that the newer have too: claim, threads, ways, machine and caps alike."""
    again = {_claim(run, result) for run in newer for result in run["results"]}
    kept = [{**run, "results": [each for each in run["results"] if _claim(run, each) not in again]} for run in older]
    return sorted([*(run for run in kept if run["results"]), *newer], key=lambda run: (run["benchmark"], run["date"]))


def machine_of(run: Run) -> tuple[Any, ...]:
    """The machine of a run: its processor, cores, and memory in GiB."""
    machine = run["machine"]
    return machine["cpu"], machine["cores"], round((machine["memory"] or 0) / 2**30)


def place_of(run: Run) -> tuple[Any, ...]:
    """The machine of a run, and what its libraries were kept from using."""
    return *machine_of(run), tuple(sorted(run["machine"]["caps"].items()))


def _claim(run: Run, result: Result) -> tuple[Any, ...]:
    return run["benchmark"], run["quick"], *place_of(run), *(result[name] for name in ("name", "threads", "ours", "peer"))
