"""Runs the stages of the GPU's benchmark, each in a process of its own with a limit of time, and writes a page after each."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Stage:
    """A part of the benchmark: a file of this folder, and the seconds that it may take."""

    name: str
    seconds: int
    file: str
    options: tuple[str, ...] = ()


# modules that the package and its tests import
NEEDED = (
    "torch", "torchvision", "numpy", "PIL", "cv2", "pycocotools", "hotcoco", "yaml", "omegaconf", "safetensors", "defusedxml",
    "rich", "matplotlib", "tensorboard", "pytest", "hypothesis",
)  # fmt: skip
# by priority: what comes late may find no time
STAGES = (
    Stage("tests", 110, "check.py"),
    Stage("waits", 30, "waits.py"),
    Stage("inference", 80, "detect.py"),
    Stage("training", 60, "train.py"),
    Stage("classification", 30, "classify.py"),
    Stage("input", 20, "load.py"),
    Stage("cifar10", 190, "cifar.py"),
    Stage("compiled", 120, "detect.py", ("--compiled",)),
    Stage("appendix_b", 330, "appendix_b.py"),
)


def main() -> int:
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    site = args.output / "site"
    if args.wheels:
        wheels = sorted(str(path) for path in args.wheels.glob("*.whl"))
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--upgrade", "--target", str(site)]
        subprocess.run([*install, *wheels], check=True)
    sys.path.append(str(site))  # to look for the modules as the stages will
    if gone := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"not installed: {', '.join(gone)}; --wheels DIR takes them from wheels")
        return 1
    began, failed = time.monotonic(), []
    for stage in STAGES:
        path = args.output / f"{stage.name}.json"
        if args.stage and stage.name not in args.stage:
            continue
        if path.exists() and read(path).get("ended") and stage.name not in args.again:
            print(f"{stage.name}: done before")
            continue
        left = args.limit - (time.monotonic() - began)
        if left < 5:
            print(f"{stage.name}: no time left")
            continue
        # whether it runs does not hang on how busy a CPU is
        seconds = left if args.rehearse else min(stage.seconds, left)
        print(f"{stage.name}: at most {seconds:.0f} s", flush=True)
        if not run(stage, path, seconds, args):
            failed.append(stage.name)
        write_page(args.output)
    print(f"{time.monotonic() - began:.0f} s; {args.output / 'README.md'}")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "gpu", metavar="DIR", help="default: runs/gpu")
    parser.add_argument("--limit", type=float, default=480, metavar="SECONDS", help="for all stages (default: 480)")
    parser.add_argument("--cifar10", type=Path, metavar="DIR", help="CIFAR-10's files; without them the steps are only timed")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a ResNet-18's, which appendix B's detectors start from")
    parser.add_argument(
        "--wheels", type=Path, metavar="DIR", help="packages to install below --output, where there is no network"
    )
    parser.add_argument("--stage", nargs="+", choices=[stage.name for stage in STAGES], help="only these")
    parser.add_argument("--again", nargs="+", default=[], metavar="STAGE", help="repeat these")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on the CPU: whether it runs")
    return parser.parse_args()


def run(stage: Stage, path: Path, seconds: float, args: argparse.Namespace) -> bool:
    """Run a stage; whatever happens, its file says so. A stage writes what it has found as it goes."""
    command = [sys.executable, str(HERE / stage.file), "--output", str(path), "--seconds", f"{seconds:.0f}", *stage.options]
    command += ["--rehearse"] if args.rehearse else []
    command += ["--cifar10", str(args.cifar10)] if args.cifar10 else []
    command += ["--weights", str(args.weights)] if args.weights else []
    path.unlink(missing_ok=True)
    folders = [ROOT, ROOT / "benchmarks", ROOT / "tests", *filter(None, [os.environ.get("PYTHONPATH")]), args.output / "site"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    log, began = path.with_suffix(".log"), time.monotonic()
    with log.open("w", encoding="utf-8", newline="\n") as out:
        try:
            done = subprocess.run(command, stdout=out, stderr=out, cwd=ROOT, env=environment, timeout=seconds, check=False)
            outcome = "done" if done.returncode == 0 else f"failed with status {done.returncode}"
        except subprocess.TimeoutExpired:
            outcome = f"stopped after {seconds:.0f} s"
    found = read(path) | {"stage": stage.name, "outcome": outcome, "seconds": round(time.monotonic() - began, 1)}
    found["ended"] = outcome == "done"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    print(f"{stage.name}: {outcome}, {found['seconds']} s")
    if outcome != "done":
        print("".join(f"  {line}\n" for line in log.read_text(encoding="utf-8").splitlines()[-15:]), end="", flush=True)
    return outcome == "done"


def read(path: Path) -> dict[str, Any]:
    """What a stage wrote; {} when it wrote nothing, or was stopped while it did."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def write_page(folder: Path) -> None:
    """All stages as one page and one JSON file."""
    found = [read(folder / f"{stage.name}.json") for stage in STAGES]
    found = [each for each in found if each]
    machine = next((each["machine"] for each in found if "machine" in each), "unknown machine")
    lines = ["# On a GPU", "", f"{machine}. Command: `benchmarks/gpu.sh`.", ""]
    for each in found:
        lines += [f"## {each.get('title', each['stage'])}", "", f"{each['outcome']}, {each['seconds']} s.", ""]
        rows = each.get("rows", [])
        if rows:
            columns = list(dict.fromkeys(key for row in rows for key in row))
            lines += [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
            lines += [f"| {' | '.join(str(row.get(column, '')) for column in columns)} |" for row in rows]
            lines.append("")
        lines += [f"- {note}" for note in each.get("notes", [])] + ([""] if each.get("notes") else [])
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8", newline="\n")
    (folder / "gpu.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
