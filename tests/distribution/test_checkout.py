"""A checkout finds its run files and benchmarks installed editable, and not installed at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from distributions import Environment, run

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(sources: Path, tmp_path: Path) -> Path:
    """A copy of what git has, in which nothing was built."""
    built = shutil.ignore_patterns("build", "dist", "*.egg-info", "*.dist-info")  # at the top: models are built in a build, too
    return shutil.copytree(
        sources, tmp_path / "checkout", ignore=lambda folder, names: built(folder, names) if Path(folder) == sources else set()
    )


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_installed_editable(checkout: Path, tmp_path: Path, mode: str) -> None:
    environment = Environment(tmp_path / "venv")
    environment.install("--config-settings", f"editable_mode={mode}", "--editable", checkout)
    first = environment.resdet("info", "--configs", folder=tmp_path).stdout.splitlines()[0]
    assert Path(first.removeprefix("run files in ").removesuffix(":")).is_relative_to(checkout)
    assert "name: resnet50\n" in environment.resdet("info", "--config", "coco_r50", folder=tmp_path).stdout
    environment.resdet("bench", "startup", "--quick", "--repeats", "1", folder=tmp_path)


def test_not_installed(checkout: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    command = (environment.python, "-m", "resdet")
    run(*command, "--version", folder=tmp_path, status=1)  # it is not there by another way
    assert run(*command, "info", "--configs", folder=checkout).stdout.startswith(f"run files in {checkout / 'configs'}:\n")
    run(*command, "bench", "startup", "--quick", "--repeats", "1", folder=checkout)
    tool = (environment.python, checkout / "tools" / "train_det.py", "--config")
    wrong = run(*tool, "coco_r50", "optimizer.lr=-1", folder=tmp_path, status=2)
    assert wrong.stderr.startswith(f"error: {checkout / 'configs' / 'coco_r50.yaml'}: ")
