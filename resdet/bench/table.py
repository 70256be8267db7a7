"""What benchmarks found, on one machine or several, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resdet.bench.caps import label
from resdet.bench.runs import Result, Run, machine_of, place_of

_HEAD = ("claim", "machine", "threads", "ours", "peer", "ratio", "at most", "", "wall-clock ratio", "rise, MiB")


def table(runs: Sequence[Run]) -> str:
    """All claims in Markdown, a line each in columns of equal width; below it what the machines are, and what was run."""
    machines = _labels(runs)
    claims: dict[tuple[str, str], int] = {}
    rows = [(run, result) for run in runs for result in run["results"]]
    for run, result in rows:
        claims.setdefault((run["benchmark"], result["name"]), len(claims))
    rows.sort(key=lambda row: (claims[row[0]["benchmark"], row[1]["name"]], machines[place_of(row[0])], row[1]["threads"]))
    lines = [_HEAD, *(_line(result, machines[place_of(run)]) for run, result in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    cells = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    below = [*_legend(runs, machines), *_kernels(rows, machines), *_origin(runs, machines)]
    return "\n".join([cells[0], rule, *cells[1:], "", *below])


def _labels(runs: Sequence[Run]) -> dict[tuple[Any, ...], str]:
    """A letter for each machine, with its caps where there are some: "A", "A, capped to AVX2"."""
    letters: dict[tuple[Any, ...], str] = {}
    for run in runs:
        number = len(letters)
        letters.setdefault(machine_of(run), chr(ord("A") + number) if number < 26 else str(number))
    caps = {place_of(run): label(run["machine"]["caps"]) for run in runs}
    return {place_of(run): ", ".join(filter(None, (letters[machine_of(run)], caps[place_of(run)]))) for run in runs}


def _line(result: Result, machine: str) -> tuple[str, ...]:
    field = {"CPU s": "cpu", "wall s": "wall", "bytes": "bytes"}[result["unit"]]
    work = result.get("multiply_adds")

    def amount(value: float | None) -> str:
        if value is None:
            return "-"
        if work is not None:
            return f"{work / value / 1e9:.3g} G/s"
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
        machine,
        str(result["threads"]),
        shown(ours),
        shown(peer),
        "-" if peer is None else f"{result['figure']:.3f}",
        "-" if bound is None else amount(bound) if peer is None else f"{bound:g}",
        {None: "", True: "reached", False: "falls short"}[result["reached"]],
        f"{wall / peer_wall:.3f}" if field != "bytes" and wall and peer_wall else "-",
        " / ".join("-" if value is None else f"{value / 2**20:.0f}" for value in rises) if any(rises) else "-",
    )


def _legend(runs: Sequence[Run], machines: Mapping[tuple[Any, ...], str]) -> list[str]:
    """What the table's letters mean, a line each."""
    lines: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: machines[place_of(run)]):
        machine, name = run["machine"], machines[place_of(run)]
        memory = f", {machine['memory'] / 2**30:.0f} GiB" if machine["memory"] else ""
        what = [f"{machine['cpu']}, {machine['cores']} cores{memory}", ", ".join(machine["isa"])]
        what += [f"{variable}={value}" for variable, value in machine["caps"].items()]
        lines.setdefault(name, f"- **{name}**: {'; '.join(filter(None, what))}.")
    return list(lines.values())


def _kernels(rows: Sequence[tuple[Run, Result]], machines: Mapping[tuple[Any, ...], str]) -> list[str]:
    """How our way's products were computed, where a result says so; results of the same kernels together."""
    chosen: dict[tuple[str, int, tuple[str, ...]], dict[str, None]] = {}
    for run, result in rows:
        if kernels := tuple(result["kernels"]):
            chosen.setdefault((machines[place_of(run)], result["threads"], kernels), {})[result["name"]] = None
    return [
        f"- Kernels of {' and of '.join(names)} ({machine}; threads: {threads}): {'; '.join(kernels)}."
        for (machine, threads, kernels), names in chosen.items()
    ]


def _origin(runs: Sequence[Run], machines: Mapping[tuple[Any, ...], str]) -> list[str]:
    """What was run, where, and with which versions: a line each, runs of one machine and commit together."""
    lines: dict[str, list[str]] = {}
    for run in runs:
        gpu = run["machine"]["gpu"]
        where = machines[place_of(run)] + (f", {gpu}" if gpu else "")
        where += (
            f"; {', '.join(f'{library} {version}' for library, version in run['versions'].items())}; commit {run['commit']}"
        )
        where += f"; not installed: {', '.join(run['missing'])}" if run["missing"] else ""
        day, _, _ = run["date"].partition("T")
        lines.setdefault(where, []).append(f"`{run['command']}` ({day})")
    return [f"- {', '.join(commands)}: {where}." for where, commands in lines.items()]
