"""Gives every reader damaged files, in a process with limits, and counts what it makes of them.

python tests/faults/fuzz.py --count 10000 [--seed 0] [--reader NAME …] [--found FOLDER]     # a table as in docs/reliability.md

An input is refused when the reader raises one of resdet's errors, or the system's error on a file. All else is a finding:
another error, a death, more than 5 seconds of processor time, more than a gigabyte of memory, a file written or opened
elsewhere, or something executed. The files that made it are kept; copied to tests/faults/corpus, they are read by test_fuzz.py
for ever.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutations import mutated

SECONDS, MEMORY = 5, 1 << 30
WAIT = 600  # seconds by the clock, which a busy machine may need for those five; a reader that waits for ever ends then
FINDINGS = ("traceback", "death", "hang", "memory", "elsewhere")
_ACTIONS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "socket.connect",
    "pty.spawn",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Finding(NamedTuple):
    """An input that was neither accepted nor refused."""

    reader: str
    number: int
    outcome: str
    text: str


def inputs_of(name: str, seeds: Path, work: Path, seed: int, numbers: Sequence[int]) -> Iterator[tuple[int, Path, Path]]:
    """(number, folder, damaged file) of each input; the folder is made anew for each, whatever a reader left in it."""
    from readers import READERS

    reader = READERS[name]
    source = seeds / reader.seed
    names = sorted(path.relative_to(source) for path in source.glob(reader.files) if path.is_file())
    for number in numbers:
        chosen = names[number % len(names)]
        folder = work / str(number)
        shutil.copytree(source, folder, copy_function=os.link)
        file = folder / chosen
        content = mutated(file.read_bytes(), file.name, f"{name} {seed} {number}")
        file.unlink()  # a link to the good one
        file.write_bytes(content)
        yield number, folder, file
        shutil.rmtree(folder)


def outcome_of(name: str, folder: Path, file: Path) -> tuple[str, str]:
    """ "accepted", "refused" or a finding, with its words."""
    from readers import READERS

    from resdet.errors import ResdetError

    try:
        READERS[name].read(folder, file)
    except ResdetError:
        return "refused", ""
    except OSError as error:
        return ("refused", "") if error.strerror and error.filename else ("traceback", traceback.format_exc())
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception:  # noqa: BLE001 - which is what is looked for
        return "traceback", traceback.format_exc()
    return "accepted", ""


class _Watch:
    """Notes files opened for writing outside of a folder, and what is executed."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)
        self.seen = ""
        self.on = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _ACTIONS:
            self.seen = f"{event} {arguments!r}"
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            writes = isinstance(arguments[2], int) and arguments[2] & _WRITES
            if (writes and not path.startswith((self.folder, "/dev/null"))) or path == "/etc/passwd":
                self.seen = f"open {path}"


def _limit() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _child(name: str, seeds: Path, work: Path, seed: int, numbers: Sequence[int], told: int) -> None:
    """Read the inputs, and tell of each in a line before (its number) and after (what came of it)."""
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (1, 2):
        os.dup2(null, handle)
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    warnings.simplefilter("ignore")
    watch = _Watch(work)
    first = True
    for number, folder, file in inputs_of(name, seeds, work, seed, numbers):
        os.write(told, f"{number} ".encode())
        signal.setitimer(signal.ITIMER_PROF, SECONDS + 10 * first)  # the first one imports
        signal.alarm(WAIT)
        watch.on = True
        outcome, text = outcome_of(name, folder, file)
        watch.on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        if watch.seen:
            outcome, text, watch.seen = "elsewhere", watch.seen, ""
        os.write(told, f"{outcome} {json.dumps(text[-3000:])}\n".encode())
        if first:
            _limit()
            first = False


def fuzz(name: str, seeds: Path, seed: int, numbers: Sequence[int]) -> tuple[Counter[str], list[Finding]]:
    """Have a reader read the inputs of these numbers; how often each outcome was, and the findings."""
    counts: Counter[str] = Counter()
    found: list[Finding] = []
    left = list(numbers)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        while left:
            shutil.rmtree(Path(work) / str(left[0]), ignore_errors=True)
            status, lines = _told(name, seeds, Path(work), seed, left)
            for line in lines:
                number, _, rest = line.partition(" ")
                outcome, _, said = rest.partition(" ")
                text = json.loads(said) if said else ""
                if not outcome:  # it died of this one
                    died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                    outcome, text = (
                        ("hang", "")
                        if died in (signal.SIGPROF, signal.SIGALRM)
                        else ("death", f"status {status}, signal {died}")
                    )
                counts[outcome] += 1
                if outcome in FINDINGS:
                    found.append(Finding(name, int(number), outcome, text.strip()))
                left.remove(int(number))
            if not lines:
                raise RuntimeError(f"{name}: the process ended with status {status} before its first input")
    return counts, found


def _told(name: str, seeds: Path, work: Path, seed: int, numbers: Sequence[int]) -> tuple[int, list[str]]:
    """Run a process until it ends: its status, and the lines of ``_child``."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(reading)
            _child(name, seeds, work, seed, numbers, writing)
            os._exit(0)
        os._exit(70)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        lines = pipe.read().split("\n")
    return os.waitpid(child, 0)[1], [line for line in lines if line]


def keep(finding: Finding, seeds: Path, seed: int, folder: Path) -> Path:
    """Keep the file of a finding, and what came of it."""
    with tempfile.TemporaryDirectory() as work:
        for _, _, file in inputs_of(finding.reader, seeds, Path(work), seed, [finding.number]):
            name = f"{finding.reader.replace(' ', '_')}-{finding.number}"
            target = folder / name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
            (folder / f"{name}.txt").write_text(f"{finding.outcome}\n{finding.text}\n")
            return target
    raise AssertionError


def main() -> int:
    """The long form; the exit status is 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", nargs="*", help="all of them when not given")
    parser.add_argument("--found", type=Path, default=Path("build/fuzz"))
    args = parser.parse_args()
    import torch
    from readers import READERS
    from seeds import make_seeds

    torch.set_num_threads(1)
    findings = 0
    print("| reader | inputs | refused | accepted | tracebacks | deaths | hangs | memory | elsewhere | CPU seconds |")
    print("|" + "---|" * 10)
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        make_seeds(seeds)
        for name in args.reader or READERS:
            began = time.process_time() + sum(os.times()[2:4])
            counts, found = fuzz(name, seeds, args.seed, range(args.count))
            spent = time.process_time() + sum(os.times()[2:4]) - began
            columns = [counts[each] for each in ("refused", "accepted", *FINDINGS)]
            print(f"| {name} | {sum(counts.values())} | {' | '.join(map(str, columns))} | {spent:.0f} |", flush=True)
            findings += len(found)
            for finding in found:
                keep(finding, seeds, args.seed, args.found)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
