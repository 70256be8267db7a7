"""The frame of the benchmarks: ways to do one thing, measured by turns in one run.

A script names a :class:`Claim`, gives the ways (ours and its peers) and prints what comes out::

    args = arguments(__doc__).parse_args()
    results = [
        compare(CLAIM, {"resdet": ours, "torchvision": theirs}, ours="resdet", peer="torchvision",
                repeats=args.repeats, threads=threads)
        for threads in args.threads
    ]
    report("Inference", results, json_path=args.output, quick=args.quick)

Ways that are measured for memory run in processes of their own (:func:`compare_in_processes`), each of which prints what
:func:`measure_step` found. Whether the ways give the same result is checked by the script before it measures them. A way that
computes on a GPU ends by waiting for it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from machine import forget_peak, peak_bytes

UNITS = {"CPU s": "cpu", "wall s": "wall", "bytes": "bytes"}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Claim:
    """One line of the table of claims.

    Args:
        name: what is compared, with its sizes: "R50-C4 inference, 600×800, stride in the 1×1".
        at_most: bound of ours over the peer's; without a peer, of ours in ``unit``. ``None``: only recorded. A claim of "at
            least 2.5 times the images a second" is one of at most 1 / 2.5 of the time.
        unit: what is compared, one of ``UNITS``.
        multiply_adds: of one run of any way, where the table is to show how many a second they are.
    """

    name: str
    at_most: float | None
    unit: str = "CPU s"
    multiply_adds: float | None = None


@dataclass(frozen=True)
class Sample:
    """One measured run of a way: CPU and wall seconds, and the bytes by which memory rose in it; None: not measured."""

    cpu: float | None
    wall: float | None
    bytes: int | None = None


@dataclass(frozen=True)
class Result:
    """What the ways of a claim took. Another claim on the same runs: ``dataclasses.replace(result, claim=...)``.

    Attributes:
        claim: the line of the table.
        samples: name of a way → its measured runs.
        ours: our way.
        peer: the way the bound speaks of.
        threads: that all ways computed with.
        kernels: a line each for the ways to compute products that ours had chosen.
    """

    claim: Claim
    samples: Mapping[str, Sequence[Sample]]
    ours: str
    peer: str | None
    threads: int = 1
    kernels: tuple[str, ...] = ()

    def values(self, way: str, unit: str) -> list[float]:
        """A way's samples in one of ``UNITS``; empty where it was not measured."""
        found = (getattr(sample, UNITS[unit]) for sample in self.samples[way])
        return [value for value in found if value is not None]

    def median(self, way: str) -> float:
        """The median of a way's samples, in the claim's unit."""
        return statistics.median(self.values(way, self.claim.unit))

    @property
    def figure(self) -> float:
        """The ratio of the medians, ours over the peer's; without a peer our median, in the claim's unit."""
        return self.median(self.ours) / (1 if self.peer is None else self.median(self.peer))

    @property
    def reached(self) -> bool | None:
        """Whether the figure keeps the claim's bound; ``None`` without one."""
        return None if self.claim.at_most is None else self.figure <= self.claim.at_most

    def as_json(self) -> dict[str, Any]:
        """For the file: the claim, its figure, each way's medians and samples of what was measured."""
        ways = {
            way: {
                field: {"median": statistics.median(values), "samples": values}
                for unit, field in UNITS.items()
                if (values := self.values(way, unit))
            }
            for way in self.samples
        }
        return asdict(self.claim) | {
            "threads": self.threads,
            "ours": self.ours,
            "peer": self.peer,
            "figure": self.figure,
            "reached": self.reached,
            "kernels": list(self.kernels),
            "ways": ways,
        }


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options every script has; ``doc`` is its docstring, whose first line is the help."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1], metavar="N", help="numbers of threads to measure with")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="measured runs of each way (default: 7)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the numbers as JSON")
    return parser


def compare(
    claim: Claim,
    ways: Mapping[str, Callable[[], object]],
    *,
    ours: str,
    peer: str | None,
    repeats: int = 7,
    warmup: int = 2,
    threads: int = 1,
    once: Collection[str] = (),
) -> Result:
    """Measure the ways by turns in this process, each round in another order, and in a last round the memory.

    Args:
        claim: the line of the table; its unit is a time.
        ways: name → what is measured; whatever it returns is dropped.
        ours: our way.
        peer: the way the bound speaks of; ``None`` for a bound in the claim's unit.
        repeats: measured rounds.
        warmup: rounds before them that are not measured.
        threads: threads that torch and OpenCV compute with.
        once: ways too slow to repeat: not warmed up, measured in the first round only.
    """
    use_threads(threads)
    samples: dict[str, list[Sample]] = {way: [] for way in ways}
    for number in range(-warmup, repeats):
        for way in _turn(list(ways), number):
            if way in once and number != 0:
                continue
            sample = measure_step(ways[way], memory=way in once)
            if number >= 0:
                samples[way].append(sample)
    for way in ways:
        if way not in once:  # a round of its own: free memory goes back to the system before, and is slower to get
            samples[way].append(replace(measure_step(ways[way]), cpu=None, wall=None))
    return Result(claim, samples, ours, peer, threads)


def compare_in_processes(
    claim: Claim,
    ways: Mapping[str, Sequence[str]],
    *,
    ours: str,
    peer: str | None,
    repeats: int = 5,
    warmup: int = 1,
    threads: int = 1,
    whole: bool = False,
) -> Result:
    """Measure the ways by turns, each run a process of its own.

    Args:
        claim: the line of the table.
        ways: name → the command, ``[sys.executable, __file__, "--way", name]`` for one. The last line that it prints is
            :func:`print_sample` of its :func:`measure_step`.
        ours: our way.
        peer: the way the bound speaks of; ``None`` for a bound in the claim's unit.
        repeats: measured rounds.
        warmup: rounds before them that are not measured.
        threads: the number that the commands find in ``OMP_NUM_THREADS`` and the like.
        whole: take the CPU and wall seconds of the process from its start to its end instead, whatever it prints.
    """
    samples: dict[str, list[Sample]] = {way: [] for way in ways}
    for number in range(-warmup, repeats):
        for way in _turn(list(ways), number):
            sample = _run(ways[way], threads, whole)
            if number >= 0:
                samples[way].append(sample)
    return Result(claim, samples, ours, peer, threads)


def measure_step(step: Callable[[], object], *, memory: bool = True) -> Sample:
    """Run ``step`` and measure it.

    Args:
        step: what is measured.
        memory: also find by how many bytes the peak of this process rose above what it held before (Linux only).
    """
    gc.collect()
    held = forget_peak() if memory else None
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Sample(cpu, wall, None if held is None else peak_bytes() - held)


def kernels_of(model: object) -> tuple[str, ...]:
    """What a prepared model has chosen, of its ``kernels`` {product: way}, a line each way; none of one without a choice."""
    chosen: Mapping[str, str] = getattr(model, "kernels", {})
    return tuple(f"{way}: {', '.join(each for each in chosen if chosen[each] == way)}" for way in sorted(set(chosen.values())))


def print_sample(sample: Sample) -> None:
    """Tell :func:`compare_in_processes` what was found; to be printed last."""
    print(json.dumps(asdict(sample)), flush=True)


def use_threads(threads: int) -> None:
    """Compute with so many threads in the libraries that are imported already."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def _turn(ways: list[str], number: int) -> list[str]:
    """The ways, beginning with another in each round."""
    first = number % len(ways)
    return ways[first:] + ways[:first]


def _run(command: Sequence[str], threads: int, whole: bool) -> Sample:
    """One run of a way in a process of its own."""
    environment = os.environ | dict.fromkeys(_THREADS, str(threads))
    before, began = _children_seconds() if whole else 0.0, time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment)
    wall = time.perf_counter() - began
    if not whole:
        return Sample(**json.loads(done.stdout.splitlines()[-1]))
    return Sample(_children_seconds() - before, wall)


def _children_seconds() -> float:
    """CPU seconds of all child processes that have ended."""
    try:
        import resource
    except ImportError:
        raise SystemExit("this benchmark measures whole processes, of which Windows does not tell the CPU seconds") from None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
