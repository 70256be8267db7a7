"""The commands whose calls of the file layer are let fail: each small, and each with what its folder holds in the end."""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import os
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
import tiny_classifiers
import tiny_detectors
from test_resume import assert_same_run, leaves, log
from toy_run import toy_training

from resdet import cli
from resdet.data.formats import annotation_cache
from resdet.data.synthetic.scenes import make_shapes
from resdet.data.synthetic.shapes import CLASS_NAMES
from resdet.ops import kernels, winograd

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
TRAINERS = {"train-cls": "classification", "train-det": "detection", "train-loc": "localization"}
_TEMPORARY = re.compile(r"\.[a-z0-9_]{8}(?=\.resdet-unfinished)")
FORMATS = "pictures,json,coco,csv,labelstudio,yolo,voc,crops"


class Command(NamedTuple):
    """A command that writes into a folder.

    Attributes:
        run: runs it with this folder; its exit status.
        same: asserts that the first folder holds what the second one does, in which nothing went wrong.
    """

    run: Callable[[Path], int]
    same: Callable[[Path, Path], None]


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


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of each file, without what a killed process may leave for an hour."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".resdet-unfinished")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def state_of(folder: Path) -> str:
    """A hash of all that a next command finds in a folder: where two are the same, it does the same."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: _TEMPORARY.sub("", str(path))):
        if _TEMPORARY.search(str(path.parent)) or "tfevents" in path.name:
            continue  # in a folder that is only removed, or of another name each time
        digest.update(_TEMPORARY.sub("", f"\n{path.relative_to(folder)}\n").encode())
        digest.update(_content(path) if path.is_file() else b"a folder")
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    """What a file says, but for the time; nothing of those that no command reads again."""
    if path.suffix == ".html" or _TEMPORARY.search(path.name):
        return b""
    with contextlib.suppress(Exception):  # half a file is what it is
        if path.name == "log.jsonl":
            return repr(log(path.parent)).encode()
        if path.suffix == ".pt":
            return repr(leaves(torch.load(path, weights_only=True))).encode()
    return path.read_bytes()


def assert_same_results(folder: Path, other: Path) -> None:
    """All of a run that does not tell of the time."""
    states = [torch.load(each / "state.pt", weights_only=True) for each in (folder, other)]
    assert leaves(states[0]) == leaves(states[1])
    assert log(folder) == log(other)
    told = ("report.html", "log.jsonl", "state.pt", "state.previous.pt", "config.yaml")
    of_both = [
        {name: each for name, each in content(place).items() if name not in told and "tfevents" not in name}
        for place in (folder, other)
    ]
    _assert_same_files(*of_both)
    assert (folder / "report.html").exists()
    assert not list(folder.rglob("*.resdet-unfinished"))


def assert_same_content(folder: Path, other: Path) -> None:
    """All bytes, but for the folder's own name."""
    of_both = [
        {name: text.replace(str(place).encode(), b"") for name, text in content(place).items()} for place in (folder, other)
    ]
    _assert_same_files(*of_both)


def _assert_same_files(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> None:
    different = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    assert not different, f"other bytes, or there only once: {', '.join(different)}"


def toy_command(folder: Path) -> int:
    """A training without data and pictures, as a command."""
    module = types.ModuleType("toy_command", "Train.")
    module.add_arguments = lambda parser: None  # type: ignore[attr-defined]

    def run(args: argparse.Namespace) -> int:
        toy_training(folder)
        return 0

    module.run = run  # type: ignore[attr-defined]
    sys.modules["toy_command"] = module
    cli.COMMANDS["toy"] = "toy_command"
    return cli.main(["toy"])


def _line(*arguments: str | Path) -> Command:
    """A command line whose last argument is the folder."""
    return Command(lambda folder: cli.main([*map(str, arguments), str(folder)]), assert_same_content)


def _file(name: str, *arguments: str | Path) -> Command:
    """A command line whose last argument is a file of this name in the folder."""
    return Command(lambda folder: cli.main([*map(str, arguments), str(folder / name)]), assert_same_content)


def _caching(command: Command) -> Command:
    """The command with its annotations kept in the cache folder, as only large files are otherwise."""

    def run(folder: Path) -> int:
        annotation_cache._LARGE = 0
        return command.run(folder)

    return Command(run, command.same)


def commands(work: Path) -> dict[str, Command]:
    """Every command by its name; what they read is made in ``work``."""
    shapes = work / "shapes"
    make_shapes(shapes, train=4, val=2, size=64, seed=0)
    truth = shapes / "annotations" / "instances_val.json"
    (work / "found.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [5, 6, 16, 20], "score": 0.9}]')
    classifier = tiny_classifiers.written(
        work / "classifier.safetensors", tiny_classifiers.tiny_classifier(names=CLASS_NAMES), short_side=32
    )
    small: dict[str, dict[str, Any]] = {"backbone": BACKBONE, "anchors": {"sizes": [12, 24]}, "rpn": RPN}
    detector = tiny_detectors.written(
        work / "detector.safetensors", tiny_detectors.tiny_detector(names=list(CLASS_NAMES), **small), (48, 64), **small
    )
    pictures, cpu = shapes / "images" / "val", ("--device", "cpu")
    coco = ("data", "convert", "--format", "coco", "--root", pictures, "--annotations", truth, "--as", "val", "--to")
    crops = ("--format", "folder", "--root", shapes / "crops" / "train", "--as", "train")
    # the other evaluator has threads, without which a forked process would wait for ever
    found = ("eval", "--ground-truth", truth, "--detections", work / "found.json", "--evaluator", "pycocotools")
    evaluated = {task: ("eval", "--config", run_file(work / f"{task}.yaml", task, shapes)) for task in TRAINERS.values()}
    search = ("predict", "--weights", detector, pictures, *cpu, "--score-thresh", "0.05", "--max-det", "2", "--format", FORMATS)

    def trainer(name: str, task: str) -> Command:
        line: Sequence[str] = [name, "--config", str(work / f"{task}.yaml"), "--device", "cpu", "--resume", "--output"]
        return Command(lambda folder: cli.main([*line, str(folder)]), assert_same_results)

    return {
        "training": Command(toy_command, assert_same_run),
        **{name: trainer(name, task) for name, task in TRAINERS.items()},
        "data make": _line("data", "make", "shapes", "--train", "2", "--val", "1", "--size", "48"),
        "data convert --to coco": _line(*coco, "coco"),
        "data convert --to voc": _line(*coco, "voc"),
        "data convert --to yolo": _line(*coco, "yolo"),
        "data shard": _line("data", "shard", *crops),
        "convert": _file("model.pth", "convert", classifier, "--to", "torchvision"),
        "eval --detections": _line(*found, "--output"),
        "eval of a classifier": _line(*evaluated["classification"], "--weights", classifier, *cpu, "--output"),
        "eval of a detector": _caching(
            _line(*evaluated["detection"], "--weights", detector, *cpu, "--evaluator", "pycocotools", "--output")
        ),
        "predict of a classifier": _line("predict", "--weights", classifier, pictures, *cpu, "--output"),
        "predict of a detector": _line(*search, "--output"),
        "predict --resume": _line(*search, "--resume", "--output"),
    }


def quicken() -> None:
    """Have matplotlib not draw what it writes, PIL compress little, constants be computed once: half of a short run's time. Of
    several kernels the first is the fastest, for measuring may say another each time, which rounds in another way.
    """
    kernels._measured = lambda question, ways, trial: ways[0]
    winograd.winograd_transforms = functools.cache(winograd.winograd_transforms)
    if "matplotlib.figure" not in sys.modules:
        return
    from matplotlib.figure import Figure

    def write(self: Figure, file: Any, **_: Any) -> None:
        picture = b"a picture of %d diagrams" % len(self.axes)
        if isinstance(file, (str, os.PathLike)):
            Path(file).write_bytes(picture)
        else:
            file.write(picture)

    save = Image.Image.save

    def quickly(self: Image.Image, *arguments: Any, **options: Any) -> None:
        save(self, *arguments, **{"compress_level": 1, **options})

    Figure.savefig = write  # type: ignore[method-assign]
    Image.Image.save = quickly  # type: ignore[method-assign]
