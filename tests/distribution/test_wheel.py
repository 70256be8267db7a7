"""The wheel: what is in it, that the check of it can fail, and that it works where there is no checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from distributions import ROOT, Environment, build, copy_sources, names_in, source_files, wheel_problems

import resdet

pytestmark = pytest.mark.slow

CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
# coco_r50, so small that a few steps take seconds
SMALL = {
    "from_scratch": True,
    "model": {
        "backbone": {"name": "resnet18", "width": 8, "weights": ""},
        "freeze_at": 0,
        "anchors": {"sizes": [12, 24, 48]},
        "rpn": {
            "batch_size_per_image": 32,
            "pre_nms_top_n_train": 100,
            "post_nms_top_n_train": 30,
            "pre_nms_top_n_test": 100,
            "post_nms_top_n_test": 20,
        },
        "roi": {"batch_size_per_image": 16},
    },
    "data": {
        "train": [{"format": "coco", "root": "shapes/images/train", "annotations": "shapes/annotations/instances_train.json"}],
        "val": {"format": "coco", "root": "shapes/images/val", "annotations": "shapes/annotations/instances_val.json"},
        "short_side": [64],
        "test_short_side": 64,
        "workers": 0,
    },
    "schedule": {"iterations": 2, "milestones": [1], "warmup_iterations": 1},
    "run": {"batch": 2, "checkpoint_every": 1},
}


def options(values: dict, prefix: str = "") -> list[str]:
    """Values of a run file as ``key.path=value`` arguments."""
    given = []
    for key, value in values.items():
        inner = options(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
        given += inner or [f"{prefix}{key}={text}"]
    return given


def python_of(version: str) -> str | None:
    """A Python of this version: one that is on the path, or one of pyenv's."""
    on_path = [sys.executable, shutil.which(f"python{version}")]
    pyenvs = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for python in filter(None, (*on_path, *map(str, pyenvs))):
        told = subprocess.run([python, "--version"], capture_output=True, text=True, check=False).stdout
        if told.startswith(f"Python {version}."):
            return python
    return None


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which the wheel is installed."""
    environment = Environment(tmp_path_factory.mktemp("installed") / "venv")
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing of a checkout in or above it but by chance."""
    return tmp_path_factory.mktemp("elsewhere")


def test_it_holds_the_package_with_run_files_and_benchmarks_and_nothing_else(wheel: Path) -> None:
    assert wheel_problems(names_in(wheel), source_files()) == []
    assert wheel.name == f"resdet-{resdet.__version__}-py3-none-any.whl"


def test_a_checkout_gives_the_wheel_that_its_source_distribution_gives(wheel: Path, sources: Path, tmp_path: Path) -> None:
    checkout = shutil.copytree(sources, tmp_path / "checkout")
    assert sorted(names_in(build("wheel", checkout))) == sorted(names_in(wheel))


@pytest.mark.parametrize(
    ("file", "text", "instead", "problem"),
    [
        ("setup.py", ', "resdet.configs"', "", "missing: resdet/configs/coco_r50.yaml"),
        ("pyproject.toml", '"resdet.configs" = ["*.yaml"]\n', "", "missing: resdet/configs/coco_r50.yaml"),
        ("setup.py", ', "resdet.benchmarks"', "", "missing: resdet/benchmarks/measure.py"),
        ("setup.py", '"resdet", "resdet.*"', '"resdet", "resdet.d*"', "missing: resdet/models/build/detector.py"),
        ("setup.py", '"resdet.configs"', '"resdet.configs", "tools"', "has no place: tools/train_det.py"),
        ("pyproject.toml", '"resdet.benchmarks" = ["README.md"]', "", "missing: resdet/benchmarks/README.md"),
        (
            "pyproject.toml",
            '"resdet.report.html" = ["templates/*"]\n',
            "",
            "missing: resdet/report/html/templates/page.html",
        ),
        (
            "pyproject.toml",
            'license-files = ["LICENSE"]',
            "license-files = []",
            "missing: resdet-{}.dist-info/licenses/LICENSE",
        ),
    ],
)
def test_a_mistake_in_the_packaging_is_found(tmp_path: Path, file: str, text: str, instead: str, problem: str) -> None:
    broken = copy_sources(tmp_path / "broken") / file
    content = broken.read_text()
    assert content.count(text) == 1
    broken.write_text(content.replace(text, instead))
    problems = wheel_problems(names_in(build("wheel", broken.parent)), source_files())
    assert problem.format(resdet.__version__) in problems


def test_it_is_the_installed_package_that_is_tried(installed: Environment, elsewhere: Path) -> None:
    where = installed.ask("__import__('resdet').__file__")
    assert Path(where) == installed.packages / "resdet" / "__init__.py"
    assert installed.resdet("--version", folder=elsewhere).stdout == f"resdet {resdet.__version__}\n"


def test_run_files_and_benchmarks_are_found_by_name(installed: Environment, elsewhere: Path) -> None:
    first, _, *rows = installed.resdet("info", "--configs", folder=elsewhere).stdout.splitlines()
    assert first == f"run files in {installed.packages / 'resdet' / 'configs'}:"
    assert [row.split()[0] for row in rows] == CONFIGS
    listed = installed.resdet("bench", "--list", folder=elsewhere).stdout
    assert [line.split()[0] for line in listed.splitlines()] == sorted(
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if '__name__ == "__main__"' in path.read_text()
    )
    wrong = installed.resdet("train-det", "--config", "coco_r5", folder=elsewhere, status=2)
    assert wrong.stderr == "error: config 'coco_r5': no such file (did you mean 'coco_r50'?)\n"
    far = installed.resdet("train-det", "--config", "zzzzzz", folder=elsewhere, status=2)
    assert f"(known: {', '.join(CONFIGS)})" in far.stderr


def test_a_benchmark_runs(installed: Environment, elsewhere: Path) -> None:
    installed.resdet("bench", "startup", "--quick", "--repeats", "1", "--output", "bench", folder=elsewhere)
    assert (elsewhere / "bench" / "bench.json").is_file()


def test_it_trains_evaluates_and_predicts(installed: Environment, elsewhere: Path) -> None:
    installed.resdet("data", "make", "shapes", "shapes", "--train", "4", "--val", "2", "--size", "64", folder=elsewhere)
    installed.resdet("train-det", "--config", "coco_r50", "--output", "named", *options(SMALL), folder=elsewhere)
    assert {"state.pt", "model.safetensors"} <= {path.name for path in (elsewhere / "named").iterdir()}

    (elsewhere / "own").mkdir()
    (elsewhere / "own" / "mine.yaml").write_text(yaml.safe_dump({"base": "coco_r50", **SMALL, "output": "mine"}))
    installed.resdet("train-det", "--config", "own/mine.yaml", folder=elsewhere)
    config = yaml.safe_load((elsewhere / "mine" / "config.yaml").read_text())
    assert (config["model"]["backbone"]["width"], config["optimizer"]["lr"]) == (8, 0.001)  # mine, and coco_r50's

    weights = "mine/model.safetensors"
    evaluated = installed.resdet("eval", "--config", "own/mine.yaml", "--weights", weights, folder=elsewhere)
    assert re.search(r"\bAP50\b", evaluated.stdout)
    installed.resdet("predict", "--weights", weights, "shapes/images/val", "--output", "found", folder=elsewhere)
    assert (elsewhere / "found" / "predictions.json").is_file()


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_it_installs_on_every_promised_python(wheel: Path, tmp_path: Path, version: str) -> None:
    environment = Environment(tmp_path / "venv", python_of(version) or pytest.skip(f"no Python {version} here"))
    environment.install(wheel)
    assert environment.resdet("--version", folder=tmp_path).stdout == f"resdet {resdet.__version__}\n"
    assert "train-det" in environment.resdet("--help", folder=tmp_path).stdout
