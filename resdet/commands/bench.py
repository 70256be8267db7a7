"""Measure speed and memory beside others' code, and print what is claimed and what was reached."""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resdet.commands.bench_isa import CAPS, capped
from resdet.commands.bench_page import BEGIN, END, joined, read_runs, table, write_page
from resdet.errors import ConfigError, ResdetError, did_you_mean
from resdet.shipped import checkout, shipped_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``bench``."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="the benchmarks to run (default: all; --list names them)")
    parser.add_argument("--list", action="store_true", help="print the benchmarks and run none")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", help="numbers of threads to measure with (default: 1)")
    parser.add_argument("--repeats", type=int, metavar="N", help="measured runs of each way (default: the benchmark's own)")
    parser.add_argument("--isa", choices=CAPS, help="keep oneDNN, ATen and MKL from using more of the CPU than this")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether they run, not how fast")
    parser.add_argument(
        "--output", default="runs/bench", metavar="DIR", help="for bench.json, which keeps what it has of the others"
    )
    parser.add_argument(
        "--page", metavar="FILE", help=f"run none: write the table of bench.json into FILE, between {BEGIN} and {END}"
    )
    parser.add_argument("--also", nargs="+", default=[], metavar="FILE", help="with --page: bench.json of other machines")


def run(args: argparse.Namespace) -> int:
    """Run the benchmarks one after the other, each in a process of its own; the table goes to stdout.

    Raises:
        ConfigError: on wrong arguments, or when the package was installed without its benchmarks.
        DataError: when ``bench.json`` is not what was written.
        ResdetError: when a benchmark failed; what the others found is written before.
    """
    from resdet.files import write_json

    collected = Path(args.output) / "bench.json"
    if args.page:
        if args.names or args.list or args.quick or args.threads or args.repeats or args.isa:
            raise ConfigError("--page goes with --output and --also alone: it runs nothing")
        runs: list[Any] = []
        for path in (*args.also, collected):
            runs = joined(runs, read_runs(Path(path)))
        write_page(Path(args.page), runs)
        return 0
    if args.also:
        raise ConfigError("--also goes with --page: it names what the page is to show beside bench.json")
    scripts = _scripts()
    if args.list:
        width = max(map(len, scripts))
        print("\n".join(f"{name:{width}}  {_summary(path)}" for name, path in scripts.items()))
        return 0
    before = read_runs(collected) if collected.exists() else []
    found, failed = _measure(_chosen(args, scripts), args)
    write_json(collected, {"runs": joined(before, found)})
    print(table(found))
    print(f"written: {collected}", file=sys.stderr)
    if failed:
        raise ResdetError(failed)
    return 0


def _scripts() -> dict[str, Path]:
    """The benchmarks by name: the files of the folder that are programs."""
    folder = shipped_folder("benchmarks")
    files = sorted(folder.glob("*.py")) if folder.is_dir() else []
    scripts = {path.stem: path for path in files if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    if not scripts:
        raise ConfigError(f"bench: no benchmarks in {folder}: the package is not installed as a whole")
    return scripts


def _summary(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _chosen(args: argparse.Namespace, scripts: Mapping[str, Path]) -> dict[str, Path]:
    unknown = [name for name in args.names if name not in scripts]
    problems = [f"benchmark {name!r}: no such one{did_you_mean(name, list(scripts))}" for name in unknown]
    problems += [f"--threads must be at least 1, got {threads}" for threads in args.threads or [] if threads < 1]
    if args.repeats is not None and args.repeats < 1:
        problems.append(f"--repeats must be at least 1, got {args.repeats}")
    if problems:
        raise ConfigError(problems)
    return {name: path for name, path in scripts.items() if name in args.names or not args.names}


def _measure(scripts: Mapping[str, Path], args: argparse.Namespace) -> tuple[list[Any], list[str]]:
    """What each script wrote, with its name, and what to say of those that failed."""
    from resdet.files import read_json

    options = [*(["--quick"] if args.quick else []), *([f"--repeats={args.repeats}"] if args.repeats else [])]
    if args.threads:
        options += ["--threads", *map(str, args.threads)]
    found, failed, environment = [], [], capped(_environment(), args.isa)
    for name, path in scripts.items():
        output = Path(args.output) / f"{name}.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        # its own table is progress here: to stderr
        command = [sys.executable, str(path), *options, "--output", str(output)]
        done = subprocess.run(command, stdout=2, env=environment, check=False)  # noqa: S603
        if done.returncode:
            failed.append(f"benchmark {name}: failed with status {done.returncode}")
        else:
            found.append({"benchmark": name, **read_json(output)})
    return found, failed


def _environment() -> dict[str, str]:
    """The environment for the scripts: they import the package that this command belongs to, also from a checkout alone."""
    top = checkout()
    if top is None:
        return dict(os.environ)
    given = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{top}{os.pathsep}{given}" if given else str(top)}
