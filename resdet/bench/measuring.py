"""From the names of benchmarks to what they find, which is added to ``bench.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from resdet.bench.caps import capped
from resdet.bench.page import read_runs
from resdet.bench.runs import Run, joined
from resdet.bench.scripts import run_scripts, script_environment
from resdet.errors import ConfigError, did_you_mean
from resdet.files import write_json


def measure(
    scripts: Mapping[str, Path],
    names: Sequence[str],
    collected: Path,
    *,
    threads: Sequence[int],
    repeats: int | None,
    quick: bool,
    isa: str | None,
) -> tuple[list[Run], list[str]]:
    """Run benchmarks, and add what they find to ``collected``.

    Args:
        scripts: all benchmarks by name, of ``find_scripts``.
        names: those to run; none: all.
        collected: a ``bench.json``; each script's own file goes beside it.
        threads: numbers of threads to measure with, each at least 1; none: the benchmarks' own.
        repeats: measured runs of each way, at least 1; None: the benchmarks' own.
        quick: tiny sizes, which show only that they run.
        isa: one of ``caps.CAPS``, or None for all that the CPU has.

    Returns:
        What was found now, and what to say of each benchmark that failed.

    Raises:
        ConfigError: with every unknown name and number out of range; a cap above what the CPU has.
        DataError: when ``collected`` is not what was written.
    """
    before = read_runs(collected) if collected.exists() else []
    problems = [f"benchmark {name!r}: no such one{did_you_mean(name, list(scripts))}" for name in names if name not in scripts]
    problems += [f"--threads must be at least 1, got {number}" for number in threads if number < 1]
    if repeats is not None and repeats < 1:
        problems.append(f"--repeats must be at least 1, got {repeats}")
    if problems:
        raise ConfigError(problems)
    chosen = {name: path for name, path in scripts.items() if name in names or not names}
    options = [*(["--quick"] if quick else []), *([f"--repeats={repeats}"] if repeats else [])]
    options += ["--threads", *map(str, threads)] if threads else []
    found, failed = run_scripts(chosen, options, capped(script_environment(), isa), collected.parent)
    write_json(collected, {"runs": joined(before, found)})
    return found, failed
