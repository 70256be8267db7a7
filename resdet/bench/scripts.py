"""The benchmarks: the programs among the files of their folder, each run in a process of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from resdet.bench.runs import Run
from resdet.errors import ConfigError
from resdet.files import read_json
from resdet.shipped import checkout, shipped_folder


def find_scripts() -> dict[str, Path]:
    """The benchmarks by name.

    Raises:
        ConfigError: when the package was installed without them.
    """
    folder = shipped_folder("benchmarks")
    files = sorted(folder.glob("*.py")) if folder.is_dir() else []
    scripts = {path.stem: path for path in files if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    if not scripts:
        raise ConfigError(f"bench: no benchmarks in {folder}: the package is not installed as a whole")
    return scripts


def summary(script: Path) -> str:
    """What a benchmark measures: the first line of its docstring."""
    return (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def script_environment() -> dict[str, str]:
    """The environment for the scripts: they import the package that this module belongs to, also from a checkout alone."""
    top = checkout()
    if top is None:
        return dict(os.environ)
    given = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{top}{os.pathsep}{given}" if given else str(top)}


def run_scripts(
    scripts: Mapping[str, Path], options: Sequence[str], environment: Mapping[str, str], folder: Path
) -> tuple[list[Run], list[str]]:
    """Run benchmarks one after the other; their own tables go to stderr, and what they find into ``folder``.

    Args:
        scripts: by name, of ``find_scripts``.
        options: arguments for each of them.
        environment: variables for each of them.
        folder: for ``NAME.json``; made when missing.

    Returns:
        What each script wrote, with its name as "benchmark"; and what to say of each that failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Run] = []
    failed: list[str] = []
    for name, script in scripts.items():
        output = folder / f"{name}.json"
        command = [sys.executable, str(script), *options, "--output", str(output)]
        done = subprocess.run(command, stdout=2, env=environment, check=False)  # noqa: S603
        if done.returncode:
            failed.append(f"benchmark {name}: failed with status {done.returncode}")
        else:
            found.append({"benchmark": name, **read_json(output)})
    return found, failed
