"""What a benchmark found, as a table for people and as JSON for ``resdet bench``."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from machine import about_machine, checkout, versions
from measure import UNITS, Result


def report(
    title: str, results: Sequence[Result], *, json_path: Path | None = None, quick: bool = False, missing: Sequence[str] = ()
) -> None:
    """Print the table of the results and write them, with the machine and the versions, as JSON.

    Args:
        title: heads the table.
        results: one a claim and number of threads.
        json_path: the file to write, if any.
        quick: whether the sizes were tiny, which the file tells.
        missing: peers that are not installed.
    """
    machine, used = about_machine(), versions()
    parts = [f"{machine['cpu']}, {machine['cores']} cores", machine["gpu"], ", ".join(machine["isa"])]
    parts += [f"{name}={value}" for name, value in machine["caps"].items()]
    parts += [f"{name} {used[name]}" for name in ("torch", "MKL", "oneDNN") if name in used]
    print(f"{title}: {'; '.join(part for part in parts if part)}")
    for before, result in zip([None, *results], results, strict=False):
        again = before is not None and before.samples is result.samples
        if not again or before.claim.name != result.claim.name:
            print(f"\n{result.claim.name}, {result.threads} thread{'s' * (result.threads > 1)}")
        if not again:
            print(f"  {'':28}{'CPU s':>18}{'wall s':>18}{'MiB':>18}")
            for way in result.samples:
                cells = (_cell(result.values(way, unit), unit) for unit in UNITS)
                print(f"  {way:28}" + "".join(f"{cell:>18}" for cell in cells))
        print(f"  {_verdict(result)}")
        print("".join(f"  kernels: {kernel}\n" for kernel in result.kernels), end="")
    if json_path is not None:
        found = {
            "title": title,
            "quick": quick,
            "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *_without_output(sys.argv[1:])]),
            "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            "commit": checkout(),
            "machine": machine,
            "versions": used,
            "missing": list(missing),
            "results": [result.as_json() for result in results],
        }
        json_path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def _without_output(given: list[str]) -> list[str]:
    """The arguments but ``--output FILE``, which is a place of this machine."""
    if "--output" not in given:
        return given
    place = given.index("--output")
    return given[:place] + given[place + 2 :]


def _cell(values: Sequence[float], unit: str) -> str:
    """The median, and half the distance of the quartiles in per cent of it: "3.261 ± 1.2%"."""
    if not values:
        return ""
    median = statistics.median(values)
    text = f"{median / 2**20:.1f}" if unit == "bytes" else f"{median:.4g}"
    if len(values) == 1 or not median:
        return text
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{text} ± {50 * (high - low) / median:.1f}%"


def _verdict(result: Result) -> str:
    unit, bound = result.claim.unit, result.claim.at_most
    scale, unit = (2**20, "MiB") if unit == "bytes" and result.peer is None else (1, unit)
    what = f"{result.ours}: {{:.3g}} {unit}" if result.peer is None else f"{result.ours} / {result.peer}, {unit}: {{:.3f}}"
    text = what.format(result.figure / scale)
    if result.claim.multiply_adds is not None:
        text += f", {result.claim.multiply_adds / result.median(result.ours) / 1e9:.3g} G multiply-adds a second"
    return text if bound is None else f"{text}, at most {bound / scale:g}: {'reached' if result.reached else 'falls short'}"
