"""Runs the files ``interpreted_*.py`` of this folder and of the detectors', and compiles the kernels for a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton, which comes with torch for NVIDIA GPUs, is not installed")

pytestmark = pytest.mark.slow  # half a minute; and no kernel of a CPU is in it
HERE = Path(__file__).parent
INTERPRETED = [HERE / "interpreted_kernels.py", HERE.parent / "models" / "detection" / "interpreted_on_gpu.py"]


def test_interpreted_kernels() -> None:
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, INTERPRETED)]
    done = subprocess.run(tests, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_kernels_compile_for_a_gpu() -> None:
    done = subprocess.run([sys.executable, str(HERE / "compiled_kernels.py")], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.split() == ["_overlaps", "_overlaps", "_walk", "_walk", "_pool", "_pool"]
