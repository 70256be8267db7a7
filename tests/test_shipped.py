"""Where shipped files are: at the top of a checkout, inside an installed package, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resdet.shipped import checkout, said_by_run_file, shipped_folder

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "from resdet.shipped import *; print(shipped_folder('configs')); print(checkout())"


def test_in_a_checkout_they_lie_at_its_top() -> None:
    assert shipped_folder("configs") == ROOT / "configs"
    assert shipped_folder("benchmarks") == ROOT / "benchmarks"
    assert checkout() == ROOT


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        ("coco_r101", "To reach", "AP50 0.484, AP 0.272 (paper, Table 8)"),
        ("coco_r101_4step", "Time", "not measured here; four times coco_r101's iterations, half of them on 16 images"),
        ("coco_r101", "Colour", ""),
        ("no_such_file", "Time", ""),
        ("../pyproject", "Time", ""),
    ],
)
def test_the_head_of_a_run_file(name: str, what: str, said: str) -> None:
    assert said_by_run_file(name, what) == said


@pytest.mark.parametrize(
    ("there", "configs", "top"),
    [
        (["resdet/configs"], "resdet/configs", None),
        (["resdet/configs", "configs"], "resdet/configs", None),
        (["configs"], "resdet/configs", None),  # of another package
        (["configs", "pyproject.toml"], "configs", "."),
        (["resdet/configs", "configs", "pyproject.toml"], "resdet/configs", "."),
        ([], "resdet/configs", None),
    ],
)
def test_what_lies_beside_the_package_counts_in_a_checkout_alone(
    tmp_path: Path, there: list[str], configs: str, top: str | None
) -> None:
    (tmp_path / "resdet").mkdir()
    for name in ("__init__.py", "shipped.py", "version.py"):
        shutil.copy(ROOT / "resdet" / name, tmp_path / "resdet")
    for name in there:
        (tmp_path / name).touch() if name.endswith(".toml") else (tmp_path / name).mkdir()
    # with -c, the working folder is the first that is searched
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=900, check=True
    )
    assert done.stdout.splitlines() == [str(tmp_path / configs), str(tmp_path / top) if top else "None"]
