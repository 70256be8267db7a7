"""Runs of benchmarks as ``bench.json`` holds them, small and made up."""

from __future__ import annotations

from typing import Any

from resdet.bench.caps import CAPS

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
