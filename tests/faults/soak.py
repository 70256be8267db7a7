"""Everything here that tries to break resdet, once, or with new seeds until the hours are over.

python tests/faults/soak.py [--hours H] [--count N] [--every N] [--steps N] [--report build/soak.md]

A round is cut into pieces, in an order by its seed: each reader gets damaged files (fuzz.py), calls of each command are hit by
faults (every_fault.py), and each long run is taken (long_runs.py). The report is written after every piece, so that it is there
however the soak ends. The exit status is 1 when something was found.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


class Piece(NamedTuple):
    """A program with its options, and the round that it belongs to."""

    seed: int
    program: str
    options: tuple[str, ...]


class Done(NamedTuple):
    """What a piece has printed: the lines of its table, and its findings."""

    piece: Piece
    table: list[str]
    findings: str


def rounds(names: Mapping[str, Iterable[str]], options: Mapping[str, tuple[str, ...]], seeds: Iterable[int]) -> Iterator[Piece]:
    """The pieces of each round: every program with each of its names, given by its last option."""
    for seed in seeds:
        pieces = [
            Piece(seed, program, ("--seed", str(seed), *options[program], name))
            for program, each in names.items()
            for name in each
        ]
        random.Random(seed).shuffle(pieces)
        yield from pieces


def run(piece: Piece) -> Done:
    """Run a piece in a process of its own."""
    command = [sys.executable, str(HERE / piece.program), *piece.options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    failed = done.returncode and f"{piece.program} {' '.join(piece.options)}\n{done.stderr[-5000:]}"
    return Done(piece, table, failed or "")


def report(done: list[Done], hours: float) -> str:
    """The report, in Markdown: a table for each program, a row for each piece."""
    import torch

    machine = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.system()}"
    last = max(each.piece.seed for each in done)
    lines = ["# Soak", "", f"{len(done)} pieces of the rounds 0 to {last} in {hours:.2f} hours, {machine}."]
    for program in sorted({each.piece.program for each in done}):
        of_it = sorted((each for each in done if each.piece.program == program and each.table), key=lambda each: each.piece)
        head = of_it[0].table[:2] if of_it else []
        rows = [f"| {each.piece.seed} {row}" for each in of_it for row in each.table[2:]]
        lines += ["", f"## {program}", *(f"| round {head[0]}" for _ in head[:1]), *(f"|---{head[1]}" for _ in head[1:]), *rows]
    found = [each.findings for each in done if each.findings]
    lines += ["", "## Findings", *(f"```\n{text}\n```" for text in found)] if found else ["", "Nothing was found."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=0, help="begin no piece after so long; 0: one round")
    parser.add_argument("--count", type=int, default=10_000, help="damaged files for each reader, a round")
    parser.add_argument("--every", type=int, default=1, help="every so many calls of a command are hit, others in each round")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of each long run")
    parser.add_argument("--report", type=Path, default=Path("build/soak.md"))
    args = parser.parse_args()
    from faulty_commands import commands
    from long_runs import RUNS
    from readers import READERS

    with tempfile.TemporaryDirectory() as work:
        names = {"fuzz.py": list(READERS), "every_fault.py": list(commands(Path(work))), "long_runs.py": list(RUNS)}
    options = {
        "fuzz.py": ("--count", str(args.count), "--reader"),
        "every_fault.py": ("--every", str(args.every), "--command"),
        "long_runs.py": ("--steps", str(args.steps), "--only"),
    }
    args.report.parent.mkdir(parents=True, exist_ok=True)
    began, done = time.monotonic(), list[Done]()
    for piece in rounds(names, options, itertools.count() if args.hours else [0]):
        hours = (time.monotonic() - began) / 3600
        if args.hours and hours >= args.hours:
            break
        done.append(run(piece))
        print(*done[-1].table[2:], done[-1].findings, sep="\n", flush=True)
        args.report.write_text(report(done, (time.monotonic() - began) / 3600), encoding="utf-8")
    print(f"written: {args.report}")
    return int(any(each.findings for each in done))


if __name__ == "__main__":
    sys.exit(main())
