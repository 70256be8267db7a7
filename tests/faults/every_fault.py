"""For every n: the n-th call of a command in its folders of output and cache is hit by a fault. The command says in a line what
failed, or did not need it, and the next one goes on as if nothing had been.

python tests/faults/every_fault.py [--command NAME …] [--fault NAME …] [--every N] [--seed N] [--page docs/reliability.md]

Prints a row of a table for each command, and writes it into the page's table. The faults are those of ``faulty_files.py``; one
try each has a clock that jumps all the time, and a signal every 2 ms. What is neither told nor without consequence is a
finding, and the exit status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from faulty_commands import Command, commands, quicken, state_of
from faulty_files import ERRORS, ONCE, SIGNALS, THROUGHOUT, Ended, in_child
from tables import put_row

HEADER = ("command", "calls", "faults tried", "told in a line", "not needed", "ended", "next commands", "findings")
INTERRUPTED = 130


class Finding(Exception):  # noqa: N818 - as fuzz.py calls it
    """A fault that was neither told nor without consequence."""


class Bench:
    """A command with the folder that it writes into, beside one in which nothing went wrong.

    Args:
        name: the command's name.
        command: the command.
        work: where the folders are made.

    Attributes:
        calls: how many there are.
        states: of the folder, from which the next command went on; from the same one it is not run again.
    """

    def __init__(self, name: str, command: Command, work: Path) -> None:
        place = name.replace(" ", "_")
        self.command, self.work = command, work
        self.folder, self.whole = work / place, work / f"whole-{place}"
        first = self._run(self.whole)
        if first.status:
            raise Finding(first.text)
        for module in first.modules:  # so that each child need not
            with contextlib.suppress(Exception):
                importlib.import_module(module)
        gc.freeze()  # a collection in a child would copy every page
        shutil.rmtree(self.whole)
        self._run(self.whole)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.calls = self._run(self.folder / "out").count
        self.states: set[str] = set()

    def _run(self, out: Path, fault: str = "", at: int = 0) -> Ended:
        def run() -> int:
            # the fonts that matplotlib has found, in 6,000 calls, lie elsewhere
            os.environ.update(XDG_CACHE_HOME=str(self.folder / "cache"), MPLCONFIGDIR=str(self.work / "matplotlib"))
            quicken()
            return self.command.run(out)

        return in_child(run, self.folder, self.work / "said", fault, at)

    def tried(self, fault: str, at: int = 0) -> str:
        """What became of a fault: "told", "not needed" or "ended".

        Raises:
            Finding: anything else.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        ended = self._run(self.folder / "out", fault, at)
        what = f"{fault} at call {at} of {self.calls}, {ended.hit}, status {ended.status}: {ended.text[-3000:]}"
        outcome = outcome_of(ended, fault, what)
        kept = fault in SIGNALS or ended.hit.startswith(("rmdir", "unlink"))
        if not kept and (left := list(self.folder.rglob("*.resdet-unfinished"))):
            raise Finding(f"{what}\nleaves {left}")
        difference = self._difference()
        if difference and outcome == "not needed" and _lines(ended, "warning: "):
            outcome = "told"  # of a page that is not there, for instance
        if outcome != "not needed" and (difference or fault in ERRORS):
            state = state_of(self.folder)
            if state in self.states:
                return outcome
            _age(self.folder)
            ended = self._run(self.folder / "out")
            if ended.status:
                raise Finding(f"after {what}\nthe next command: {ended.text[-3000:]}")
            self.states.add(state)
            difference = self._difference()
            if left := {path.name for path in self.folder.iterdir()} - {"out", "cache"}:
                raise Finding(f"after {what}\nthe next command leaves {left}")
        if difference:
            raise Finding(f"after {what}\n{difference}")
        return outcome

    def _difference(self) -> str:
        """How the folder is another than the whole one; "" when it is not."""
        try:
            self.command.same(self.folder / "out", self.whole)
        except Exception as error:  # noqa: BLE001 - what is half a file may be told in any way
            return f"{type(error).__name__}: {error}"[:3000]
        return ""


def _age(folder: Path) -> None:
    """What a killed process has left unfinished was written to hours ago."""
    for left in folder.rglob("*.resdet-unfinished"):
        for path in (left, *left.rglob("*")):
            os.utime(path, (0, 0), follow_symlinks=False)


def _lines(ended: Ended, *beginnings: str) -> list[str]:
    return [line for line in ended.text.splitlines() if line.startswith(beginnings)]


def outcome_of(ended: Ended, fault: str, what: str) -> str:
    """What became of a fault, by how the command ended."""
    told = _lines(ended, "error: ", "Traceback")
    if "Traceback" in ended.text:
        raise Finding(what)
    if ended.status == 0:
        if fault in ONCE and not ended.hit:
            raise Finding(f"not met: {what}")
        return "not needed"
    if fault == "killed" and ended.status == -signal.SIGKILL:
        return "ended"
    if len(told) == 1 and fault == "interrupted" and ended.status == INTERRUPTED:
        return "ended"
    if len(told) == 1 and fault in ERRORS and ended.status in (1, 2, 3):
        return "told"
    raise Finding(what)


def points(calls: int, faults: Iterable[str], every: int = 1, seed: int = 0) -> list[tuple[str, int]]:
    """The faults and the calls that they hit: every so many, by the seed which of them; 0 where it is the whole run."""
    hit = range(every - seed % every, calls + 1, every)
    return [(fault, at) for fault in faults for at in (hit if fault in ONCE else [0])]


def main() -> int:
    """Try them; the exit status is 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", nargs="*", help="all of them when not given")
    parser.add_argument("--fault", nargs="*", choices=[*ONCE, *THROUGHOUT], default=[*ONCE, *THROUGHOUT])
    parser.add_argument("--every", type=int, default=1, help="every so many calls alone")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--page", type=Path, help="the page with the table")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    findings = 0
    for line in (HEADER, ["---"] * len(HEADER)):
        print(f"| {' | '.join(line)} |", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        known = commands(Path(work))
        for name in args.command or known:
            counts = Counter[str]()
            bench = Bench(name, known[name], Path(work))
            for fault, at in points(bench.calls, args.fault, args.every, args.seed):
                try:
                    counts[bench.tried(fault, at)] += 1
                except Finding as finding:
                    counts["finding"] += 1
                    print(f"FINDING: {name}: {finding}", file=sys.stderr, flush=True)
            outcomes = [counts[key] for key in ("told", "not needed", "ended")]
            numbers = [sum(counts.values()), *outcomes, len(bench.states), counts["finding"]]
            row = [f"`{name}`", *(f"{number:,}" for number in (bench.calls, *numbers))]
            print(f"| {' | '.join(row)} |", flush=True)
            if args.page:
                put_row(args.page, HEADER, row)
            findings += counts["finding"]
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
