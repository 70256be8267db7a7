"""For every n: the n-th call of the file layer fails. The command says what failed in a line, and the next one goes on as if
nothing had been.

The suite tries about twenty n of each command, a few where one takes long; with FAULTS=all in the environment every n, and with
FAULTS=7 every seventh.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from faulty_files import in_child

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
from test_resume import assert_same_run, leaves, log
from toy_run import toy_training

from resdet import cli
from resdet.data.synthetic.scenes import make_shapes
from resdet.data.synthetic.shapes import CLASS_NAMES

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists() or not hasattr(os, "fork"), reason="forks, and looks at /proc"
)
ERRORS = (errno.ENOSPC, errno.EIO)


def points(count: int, few: int) -> range:
    """The calls that fail."""
    asked = os.environ.get("FAULTS", "")
    step = max(1, count // few) if not asked else 1 if asked == "all" else int(asked)
    return range(min(step, count // 2), count + 1, step)


def told_in_a_line(said: Path) -> bool:
    """Whether a failure was told as one, in a line."""
    lines = [line for line in said.read_text(errors="replace").splitlines() if line.startswith(("error: ", "Traceback"))]
    return len(lines) == 1 and lines[0].startswith("error: ")


def tried(run: Callable[[], int], folder: Path, said: Path, same: Callable[[], None], few: int = 20) -> None:
    """Let each call of a command fail, and run it again; without FAULTS ``few`` of them."""
    status, count, _ = in_child(run, folder, said)
    assert status == 0, said.read_text()
    assert count > 5
    print(f"{folder.name}: {len(points(count, few))} of {count} calls are let fail")
    for at in points(count, few):
        shutil.rmtree(folder, ignore_errors=True)
        number = ERRORS[at % 2]
        status, _, failed = in_child(run, folder, said, at, number)
        what = f"call {at} of {count}, {failed}, {os.strerror(number)}: {said.read_text(errors='replace')[-3000:]}"
        assert status in (0, 1, 2, 3), what
        assert status == 0 or told_in_a_line(said), what
        assert "Traceback" not in said.read_text(errors="replace"), what
        if status == 0:  # what failed was not needed
            same()
            continue
        status, _, _ = in_child(run, folder, said)
        assert status == 0, f"after {what}\nthe next command: {said.read_text(errors='replace')[-3000:]}"
        same()
        assert not [path.name for path in folder.rglob("*") if "unfinished" in path.name], what


@pytest.mark.slow
def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, unbroken = tmp_path / "run", tmp_path / "unbroken"
    toy_training(unbroken)

    def run(args: argparse.Namespace) -> int:
        toy_training(folder)
        return 0

    module = types.ModuleType("toy_command", "Train.")
    module.add_arguments, module.run = lambda parser: None, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_command", module)
    monkeypatch.setitem(cli.COMMANDS, "toy", "toy_command")
    tried(lambda: cli.main(["toy"]), folder, tmp_path / "said", lambda: assert_same_run(folder, unbroken))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_conversion(tiny_coco: Any, tmp_path: Path, to: str) -> None:
    folder = tmp_path / "out" / "converted"
    source = ["--format", "coco", "--root", str(tiny_coco.images), "--annotations", str(tiny_coco.annotations)]
    command = ["data", "convert", *source, "--as", "val", "--to", to]
    assert cli.main([*command, str(tmp_path / "whole")]) == 0

    def same() -> None:
        assert content(folder) == content(tmp_path / "whole")

    tried(lambda: cli.main([*command, str(folder)]), folder.parent, tmp_path / "said", same)


@pytest.mark.slow
def test_scoring(tiny_coco: Any, tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [5, 6, 16, 20], "score": 0.9}]')
    files = ["--ground-truth", str(tiny_coco.annotations), "--detections", str(tmp_path / "found.json")]
    # the other evaluator has threads, without which a forked process would wait for ever
    command = ["eval", *files, "--evaluator", "pycocotools", "--output"]
    assert cli.main([*command, str(tmp_path / "whole")]) == 0

    def same() -> None:
        assert content(tmp_path / "out") == content(tmp_path / "whole")

    tried(lambda: cli.main([*command, str(tmp_path / "out")]), tmp_path / "out", tmp_path / "said", same)


BACKBONE = {"name": "resnet18", "width": 4}
RPN = {
    "batch_size_per_image": 16,
    "pre_nms_top_n_train": 50,
    "post_nms_top_n_train": 10,
    "pre_nms_top_n_test": 50,
    "post_nms_top_n_test": 5,
}
MODELS: dict[str, dict[str, Any]] = {
    "classification": {"backbone": BACKBONE},
    "detection": {"backbone": BACKBONE, "freeze_at": 0, "anchors": {"sizes": [12, 24]}, "rpn": RPN},
    "localization": {"backbone": BACKBONE, "anchors": {"sizes": [20, 32]}, "test": {"short_sides": [64], "proposals": 5}},
}
DATA = {
    "classification": {"crop": 32, "short_side": [32, 40], "test_short_side": 32},
    "detection": {"short_side": [48], "max_side": 64, "test_short_side": 48},
    "localization": {"crop": 64, "short_side": [64, 64]},
}
COMMANDS = {"classification": "train-cls", "detection": "train-det", "localization": "train-loc"}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    make_shapes(folder, train=6, val=4, size=64, seed=0)
    return folder


def run_file(path: Path, task: str, shapes: Path) -> Path:
    """Twenty quick steps with four checkpoints and two evaluations."""

    def source(split: str) -> Any:
        if task == "classification":
            return {"format": "folder", "root": str(shapes / "crops" / split)}
        annotations = shapes / "annotations" / f"instances_{split}.json"
        return {"format": "coco", "root": str(shapes / "images" / split), "annotations": str(annotations)}

    train = source("train")
    values = {
        "task": task,
        **({"from_scratch": True} if task == "detection" else {}),
        "model": MODELS[task],
        "data": {"train": [train] if task == "detection" else train, "val": source("val"), "workers": 0, **DATA[task]},
        "optimizer": {"lr": 0.002},
        "schedule": {"iterations": 20},
        "run": {"batch": 2, "seed": 3, "log_every": 5, "checkpoint_every": 5, "eval_every": 10, "kernels": "torch"},
    }
    path.write_text(yaml.safe_dump(values))
    return path


def assert_same_results(folder: Path, other: Path) -> None:
    """All that does not tell of the time."""
    states = [torch.load(each / "state.pt", weights_only=True) for each in (folder, other)]
    assert leaves(states[0]) == leaves(states[1])
    assert log(folder) == log(other)
    told = ("report.html", "log.jsonl", "state.pt", "state.previous.pt", "config.yaml")
    of_both = [
        {name: each for name, each in content(place).items() if name not in told and "tfevents" not in name}
        for place in (folder, other)
    ]
    assert of_both[0] == of_both[1]
    assert (folder / "report.html").exists()


@pytest.mark.slow
@pytest.mark.skipif("FAULTS" not in os.environ, reason="minutes: a part of make soak; test_training has the same loop")
@pytest.mark.parametrize("task", COMMANDS)
def test_trainers(task: str, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / task
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    command = [COMMANDS[task], "--config", str(run_file(tmp_path / "run.yaml", task, shapes)), "--device", "cpu"]
    whole = tmp_path / "whole"
    status, _, _ = in_child(lambda: cli.main([*command, "--output", str(whole)]), tmp_path / "none", tmp_path / "said")
    assert status == 0, (tmp_path / "said").read_text()
    tried(
        lambda: cli.main([*command, "--resume", "--output", str(folder / "run")]),
        folder,
        tmp_path / "said",
        lambda: assert_same_results(folder / "run", whole),
    )


def arguments(what: str, shapes: Path, tmp_path: Path) -> list[str]:
    """A command whose last argument is the folder that it writes."""
    if what == "make":
        return ["data", "make", "shapes", "--train", "2", "--val", "1", "--size", "48"]
    if what == "shard":
        return ["data", "shard", "--format", "folder", "--root", str(shapes / "crops" / "train"), "--as", "train"]
    if what == "eval":
        config = run_file(tmp_path / "run.yaml", "classification", shapes)
        return ["eval", "--config", str(config), "--weights", str(model_file(tmp_path)), "--device", "cpu", "--output"]
    return ["predict", "--weights", str(model_file(tmp_path)), str(shapes / "images" / "val"), "--device", "cpu", "--output"]


def model_file(folder: Path) -> Path:
    from tiny_classifiers import tiny_classifier, written

    return written(folder / "model.safetensors", tiny_classifier(names=CLASS_NAMES), short_side=32)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["make", "shard", "eval", "predict"])
def test_other_commands(what: str, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / what
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    command = arguments(what, shapes, tmp_path)
    whole = tmp_path / "whole"
    status, _, _ = in_child(lambda: cli.main([*command, str(whole)]), tmp_path / "none", tmp_path / "said")
    assert status == 0, (tmp_path / "said").read_text()
    tried(
        lambda: cli.main([*command, str(folder / "out")]),
        folder,
        tmp_path / "said",
        lambda: assert_same_content(folder / "out", whole),
        few=2,
    )


def assert_same_content(folder: Path, other: Path) -> None:
    assert {name: text.replace(str(folder).encode(), b"") for name, text in content(folder).items()} == {
        name: text.replace(str(other).encode(), b"") for name, text in content(other).items()
    }
