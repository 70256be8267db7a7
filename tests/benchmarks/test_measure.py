"""The frame of the benchmarks: turns, medians, bounds, memory, processes; and that every benchmark runs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

LINUX = Path("/proc/self/clear_refs").exists()
FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text())


def test_ways_take_turns_after_warming_up(measure: ModuleType) -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "abc"}
    result = measure.compare(measure.Claim("x", 1.0), ways, ours="a", peer="b", repeats=3, warmup=2, once=["c"])
    assert "".join(calls) == "ba" + "ab" + "abc" + "ba" + "ab" + "ab"  # another first in each round; the last one is of memory
    assert {way: len(result.values(way, "CPU s")) for way in "abc"} == {"a": 3, "b": 3, "c": 1}
    assert {way: len(result.values(way, "bytes")) for way in "abc"} == dict.fromkeys("abc", int(LINUX))


def results(measure: ModuleType, at_most: float | None, unit: str = "CPU s", peer: str | None = "theirs"):
    samples = {
        "ours": [measure.Sample(*numbers) for numbers in ((1, 8, 300), (9, 2, 100), (2, 4, 200))],
        "theirs": [measure.Sample(*numbers) for numbers in ((8, 1, 400), (4, 2, 400))],
    }
    return measure.Result(measure.Claim("x", at_most, unit), samples, "ours", peer)


@pytest.mark.parametrize(
    ("at_most", "unit", "peer", "figure", "reached"),
    [
        (0.34, "CPU s", "theirs", 2 / 6, True),
        (0.33, "CPU s", "theirs", 2 / 6, False),
        (0.5, "bytes", "theirs", 0.5, True),
        (None, "wall s", "theirs", 4 / 1.5, None),
        (4, "wall s", None, 4, True),
        (199, "bytes", None, 200, False),
    ],
)
def test_the_ratio_of_medians_against_the_bound(
    measure: ModuleType, at_most: float | None, unit: str, peer: str | None, figure: float, reached: bool | None
) -> None:
    result = results(measure, at_most, unit, peer)
    assert (result.figure, result.reached) == (figure, reached)


def test_cpu_is_not_wall(measure: ModuleType) -> None:
    asleep = measure.measure_step(lambda: time.sleep(0.2))
    assert asleep.wall >= 0.2
    assert asleep.cpu < 0.1


@pytest.mark.skipif(not LINUX, reason="only Linux tells the peak of memory")
def test_memory_is_that_of_the_step_alone(measure: ModuleType) -> None:
    earlier = bytearray(b"x" * (64 << 20))
    del earlier
    sample = measure.measure_step(lambda: bytearray(b"x" * (32 << 20)))
    assert 60 << 20 <= sample.bytes <= 72 << 20  # the bytes and the array made of them; not what was there before
    assert measure.measure_step(lambda: None).bytes < 4 << 20


def test_processes(measure: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "way.py"
    script.write_text('import os, sys; print(\'words\'); print(\'{"cpu": %s, "wall": 2, "bytes": 3}\' % sys.argv[1])')
    ways = {"a": [sys.executable, str(script), "1"], "b": [sys.executable, str(script), "4"]}
    claim = measure.Claim("x", 0.3)
    result = measure.compare_in_processes(claim, ways, ours="a", peer="b", repeats=2, warmup=0)
    assert result.samples["a"] == [measure.Sample(1, 2, 3)] * 2
    assert result.figure == 0.25
    whole = measure.compare_in_processes(claim, {"a": ways["a"]}, ours="a", peer=None, repeats=1, warmup=0, whole=True)
    (sample,) = whole.samples["a"]
    assert 0.001 < sample.cpu < 60
    assert 0.001 < sample.wall < 60
    assert sample.bytes is None
    shown = [sys.executable, "-c", "import os; print('{\"cpu\": %s, \"wall\": 1}' % os.environ['OMP_NUM_THREADS'])"]
    result = measure.compare_in_processes(claim, {"a": shown}, ours="a", peer=None, repeats=1, warmup=0, threads=3)
    assert result.figure == 3
    with pytest.raises(subprocess.CalledProcessError):
        measure.compare_in_processes(claim, {"a": [sys.executable, "-c", "raise SystemExit(1)"]}, ours="a", peer=None)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_benchmark_runs(tmp_path: Path, script: str) -> None:
    """How fast is not asked here: the sizes are tiny."""
    output = tmp_path / "found.json"
    command = [sys.executable, str(FOLDER / script), "--quick", "--repeats", "1", "--threads", "1", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads(output.read_text())
    assert content["quick"]
    assert content["results"]
    for result in content["results"]:
        assert {"name", "at_most", "unit", "ours", "peer", "figure", "reached", "kernels", "ways"} <= set(result)
        assert math.isfinite(result["figure"])  # memory that is given back is growth below zero
        assert result["ours"] in result["ways"]
