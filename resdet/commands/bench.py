"""Measure speed and memory beside others' code, and print what is claimed and what was reached."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from resdet.bench.caps import CAPS
from resdet.bench.page import BEGIN, END
from resdet.console import say, show
from resdet.errors import ConfigError, ResdetError


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
    """Run the benchmarks, list them, or write the page of what they found.

    Raises:
        ConfigError: on wrong arguments, or when the package was installed without its benchmarks.
        DataError: when ``bench.json`` is not what was written.
        ResdetError: when a benchmark failed; what the others found is written before.
    """
    collected = Path(args.output) / "bench.json"
    if args.page:
        return _write_page(args, collected)
    if args.also:
        raise ConfigError("--also goes with --page: it names what the page is to show beside bench.json")
    from resdet.bench.scripts import find_scripts, summary

    scripts = find_scripts()
    if not args.list:
        return _measure(args, scripts, collected)
    width, texts = max(map(len, scripts)), {name: summary(path) for name, path in scripts.items()}
    show("\n".join(f"{name:{width}}  {text}" for name, text in texts.items()), {"benchmarks": texts})
    return 0


def _write_page(args: argparse.Namespace, collected: Path) -> int:
    from resdet.bench.page import read_all_runs, write_page

    if args.names or args.list or args.quick or args.threads or args.repeats or args.isa:
        raise ConfigError("--page goes with --output and --also alone: it runs nothing")
    write_page(Path(args.page), read_all_runs([*map(Path, args.also), collected]))
    say(f"written: {Path(args.page)}", error=True)
    return 0


def _measure(args: argparse.Namespace, scripts: Mapping[str, Path], collected: Path) -> int:
    from resdet.bench.measuring import measure
    from resdet.bench.table import table

    found, failed = measure(
        scripts, args.names, collected, threads=args.threads or [], repeats=args.repeats, quick=args.quick, isa=args.isa
    )
    show(table(found), {"runs": found})
    say(f"written: {collected}", error=True)
    if failed:
        raise ResdetError(failed)
    return 0
