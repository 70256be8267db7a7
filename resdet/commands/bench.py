"""Measure speed and memory beside others' code, and print what is claimed and what was reached."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError, DataError, ResdetError, did_you_mean

_FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
_BEGIN, _END = "<!-- resdet bench: begin -->", "<!-- resdet bench: end -->"
_HEAD = ("claim", "threads", "ours", "peer", "ratio", "at most", "", "wall-clock ratio", "rise, MiB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``bench``."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="the benchmarks to run (default: all; --list names them)")
    parser.add_argument("--list", action="store_true", help="print the benchmarks and run none")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", help="numbers of threads to measure with (default: 1)")
    parser.add_argument("--repeats", type=int, metavar="N", help="measured runs of each way (default: the benchmark's own)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether they run, not how fast")
    parser.add_argument(
        "--output", default="runs/bench", metavar="DIR", help="for bench.json, which keeps what it has of the others"
    )
    parser.add_argument(
        "--page", metavar="FILE", help=f"run none: write the table of bench.json into FILE, between {_BEGIN} and {_END}"
    )


def run(args: argparse.Namespace) -> int:
    """Run the benchmarks one after the other, each in a process of its own; the table goes to stdout.

    Raises:
        ConfigError: on wrong arguments, or when the package was installed without its benchmarks.
        DataError: when ``bench.json`` is not what was written.
        ResdetError: when a benchmark failed; what the others found is written before.
    """
    collected = Path(args.output) / "bench.json"
    if args.page:
        if args.names or args.list or args.quick or args.threads or args.repeats:
            raise ConfigError("--page goes with --output alone: it runs nothing")
        _write_page(Path(args.page), collected)
        return 0
    scripts = _scripts()
    if args.list:
        width = max(map(len, scripts))
        print("\n".join(f"{name:{width}}  {_summary(path)}" for name, path in scripts.items()))
        return 0
    found, failed = _measure(_chosen(args, scripts), args)
    _write(collected, _read(collected) | found if collected.exists() else found)
    print(_table(found))
    print(f"written: {collected}", file=sys.stderr)
    if failed:
        raise ResdetError(failed)
    return 0


def _scripts() -> dict[str, Path]:
    """The benchmarks by name: the files of the folder that are programs."""
    files = sorted(_FOLDER.glob("*.py")) if _FOLDER.is_dir() else []
    scripts = {path.stem: path for path in files if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    if not scripts:
        raise ConfigError(f"bench: no benchmarks in {_FOLDER}: they belong to a checkout, an installed package has none")
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


def _measure(scripts: Mapping[str, Path], args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What each script wrote, by its name, and what to say of those that failed."""
    options = [*(["--quick"] if args.quick else []), *([f"--repeats={args.repeats}"] if args.repeats else [])]
    if args.threads:
        options += ["--threads", *map(str, args.threads)]
    found, failed = {}, []
    for name, path in scripts.items():
        output = Path(args.output) / f"{name}.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        # its own table is progress here: to stderr
        done = subprocess.run([sys.executable, str(path), *options, "--output", str(output)], stdout=2, check=False)  # noqa: S603
        if done.returncode:
            failed.append(f"benchmark {name}: failed with status {done.returncode}")
        else:
            found[name] = _read(output)
    return found, failed


def _read(path: Path) -> dict[str, Any]:
    from resdet.files import read_json

    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be an object, as a benchmark writes it, got {type(content).__name__}")
    return content


def _write(path: Path, found: Mapping[str, Any]) -> None:
    from resdet.files import write_json

    write_json(path, dict(sorted(found.items())))


def _write_page(page: Path, collected: Path) -> None:
    from resdet.files import write_text

    found = _read(collected)
    try:
        quick = [name for name, each in found.items() if each["quick"]]
        content = f"{_BEGIN}\n{_table(found)}\n\n{_origin(found)}\n{_END}"
    except (KeyError, TypeError) as error:
        raise DataError(f"{collected}: is not what resdet bench wrote: {error!r}") from error
    if quick:
        raise ConfigError(f"{collected}: of --quick, which measures nothing: {', '.join(quick)}")
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ConfigError(f"{page}: needs a line {_BEGIN} and after it a line {_END}")
    write_text(page, before + content + after)
    print(f"written: {page}", file=sys.stderr)


def _table(found: Mapping[str, Any]) -> str:
    """All claims, a line each, in columns of equal width and Markdown."""
    lines = [_HEAD, *(_line(result) for name in found for result in found[name]["results"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([rows[0], rule, *rows[1:]])


def _line(result: Mapping[str, Any]) -> tuple[str, ...]:
    field = {"CPU s": "cpu", "wall s": "wall", "bytes": "bytes"}[result["unit"]]

    def amount(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value / 2**20:.1f} MiB" if field == "bytes" else f"{value:.3g} {result['unit']}"

    def median(way: str | None, field: str = field) -> float | None:
        return None if way is None else result["ways"][way].get(field, {}).get("median")

    def shown(way: str | None) -> str:
        return "-" if way is None else f"{way}: {amount(median(way))}"

    bound, ours, peer = result["at_most"], result["ours"], result["peer"]
    wall, peer_wall = median(ours, "wall"), median(peer, "wall")
    rises = [None if field == "bytes" else median(way, "bytes") for way in (ours, peer)]
    return (
        result["name"].replace("|", "\\|"),
        str(result["threads"]),
        shown(ours),
        shown(peer),
        "-" if peer is None else f"{result['figure']:.3f}",
        "-" if bound is None else amount(bound) if peer is None else f"{bound:g}",
        {None: "", True: "reached", False: "falls short"}[result["reached"]],
        f"{wall / peer_wall:.3f}" if field != "bytes" and wall and peer_wall else "-",
        " / ".join("-" if value is None else f"{value / 2**20:.0f}" for value in rises) if any(rises) else "-",
    )


def _origin(found: Mapping[str, Any]) -> str:
    """What was run, where, and with which versions: a line each, runs of one machine and commit together."""
    runs: dict[str, list[str]] = {}
    for each in found.values():
        machine = each["machine"]
        place = f"{machine['cpu']}, {machine['cores']} cores"
        place += f", {machine['memory'] / 2**30:.0f} GiB" if machine["memory"] else ""
        place += f", {machine['gpu']}" if machine["gpu"] else ""
        libraries = ", ".join(f"{library} {version}" for library, version in each["versions"].items())
        day, _, _ = each["date"].partition("T")
        runs.setdefault(f"{place}; {libraries}; commit {each['commit']}", []).append(f"`{each['command']}` ({day})")
    return "\n".join(f"- {', '.join(commands)}: {where}." for where, commands in runs.items())
