"""The GPU's benchmark, rehearsed on the CPU: each stage runs to its end, or its failure is told and the next one runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"


def start(output: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""} | environment
    command = ["bash", str(SCRIPT), "--output", str(output), *options]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["tests", "waits", "inference", "training", "classification", "input", "cifar10", "appendix_b"]
)
def test_a_stage(stage: str, tmp_path: Path) -> None:
    done = start(tmp_path, "--rehearse", "--limit", "900", "--stage", stage)
    assert done.returncode == 0, done.stdout
    found = json.loads((tmp_path / f"{stage}.json").read_text())
    assert found["ended"]
    assert found["rows"] or found["notes"]
    assert found["title"] in (tmp_path / "README.md").read_text()
    again = start(tmp_path, "--rehearse", "--stage", stage)
    assert "done before" in again.stdout


def test_a_wheel_is_installed_below_the_output(tmp_path: Path) -> None:
    wheels, output = tmp_path / "wheels", tmp_path / "out"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "only_here-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("only_here.py", "")
        wheel.writestr("only_here-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: only-here\nVersion: 1.0\n")
        wheel.writestr("only_here-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("only_here-1.0.dist-info/RECORD", "")
    done = start(output, "--wheels", str(wheels), "--limit", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert (output / "site" / "only_here.py").is_file()


def test_without_a_gpu_a_stage_says_so(tmp_path: Path) -> None:
    done = start(tmp_path, "--stage", "waits")
    assert done.returncode == 1
    assert "no GPU: --rehearse runs tiny sizes on the CPU" in done.stdout
    assert json.loads((tmp_path / "waits.json").read_text())["outcome"] == "failed with status 1"
