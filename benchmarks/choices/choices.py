"""Which options a plan should choose: one training with several sets of them, a table of means over seeds.

    python benchmarks/choices/choices.py benchmarks/choices/augmentations.yaml --output DIR [--jobs 4] [--seconds S]

The table's file names a run file, options of all rows, and options of each row. Each training is a process of its own, in which
``resdet train-det`` runs; it is not repeated when its numbers are there, so that an interrupted table goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

METRICS = ("AP50", "AP")


@dataclass(frozen=True)
class Training:
    """A row of the table with a seed: what is run, and where."""

    row: str
    seed: int
    folder: Path
    options: tuple[str, ...]

    def command(self, config: str) -> list[str]:
        """The command; a started one is resumed."""
        run = [sys.executable, "-m", "resdet", "train-det", "--config", config, "--output", str(self.folder), "--quiet"]
        resume = ["--resume"] if (self.folder / "state.pt").exists() else []
        return [*run, *resume, *self.options, f"run.seed={self.seed}"]

    def metrics(self) -> dict[str, float] | None:
        """COCO's numbers of the last evaluation; None before there is one."""
        path = self.folder / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8"))["bbox"] if path.exists() else None


def main() -> int:
    args = arguments()
    table = yaml.safe_load(args.table.read_text(encoding="utf-8"))
    config, shared = args.config or table["config"], [*table.get("options", []), *args.option]
    # all rows of a seed before the next seed: whatever time there was, rows can be compared
    trainings = [
        Training(row, seed, args.output / f"{row.replace(' ', '_')}-{seed}", (*shared, *options))
        for seed in args.seeds
        for row, options in table["rows"].items()
    ]
    ends = time.monotonic() + args.seconds
    with ThreadPoolExecutor(args.jobs) as pool:
        failed = [name for name in pool.map(lambda each: trained(each, config, ends), trainings) if name]
    page = described(list(table["rows"]), trainings)
    (args.output / "table.md").write_text(page, encoding="utf-8", newline="\n")
    print(page, end="")
    for name in failed:
        print(f"not ended: {name}", file=sys.stderr)
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, metavar="TABLE.yaml")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="run folders, and table.md")
    parser.add_argument("--config", metavar="RUN.yaml", help="instead of the table's run file")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="for all rows; may be repeated")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: 1)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after these no training goes on")
    return parser.parse_args()


def trained(training: Training, config: str, ends: float) -> str:
    """Run a training to its end; its name when it did not get there."""
    left = ends - time.monotonic()
    if training.metrics() is None and left > 0:
        training.folder.mkdir(parents=True, exist_ok=True)
        with training.folder.with_suffix(".log").open("w", encoding="utf-8", newline="\n") as log:
            timeout = None if left == float("inf") else left
            try:
                subprocess.run(training.command(config), stdout=log, stderr=log, timeout=timeout, check=False)
            except subprocess.TimeoutExpired:
                log.write("stopped: no time left\n")
    return "" if training.metrics() else training.folder.name


def described(rows: Sequence[str], trainings: Sequence[Training]) -> str:
    """The table in Markdown: mean and standard deviation over the seeds, and the numbers themselves."""
    lines = ["| | " + " | ".join(METRICS) + f" | {METRICS[0]} by seed |", "|---|" + "---|" * (len(METRICS) + 1)]
    for row in rows:
        found: list[dict[str, Any]] = [metrics for each in trainings if each.row == row and (metrics := each.metrics())]
        cells = [spread([metrics[name] for metrics in found]) for name in METRICS]
        lines.append(f"| {row} | " + " | ".join(cells) + f" | {', '.join(f'{m[METRICS[0]]:.3f}' for m in found)} |")
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation of several values."""
    if len(values) < 2:
        return "".join(f"{value:.3f}" for value in values) or "not run"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    sys.exit(main())
