"""``resdet.train`` and ``resdet.evaluate``: what the commands do, from Python, on files and on data sets of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import resdet
from resdet.cli import main
from resdet.data.formats.coco import read_coco
from resdet.errors import ConfigError, DataError
from resdet.training.api import _overrides

MODEL = {
    "backbone": {"name": "resnet18", "width": 4},
    "freeze_at": 0,
    "anchors": {"sizes": [16, 32]},
    "test": {"score_thresh": 0.001},
}
DETECTOR: dict[str, Any] = {
    "task": "detection",
    "from_scratch": True,
    "model": MODEL,
    "data": {"short_side": [64], "max_side": 96, "test_short_side": 64, "workers": 0, "decode": "exact"},
    "optimizer": {"lr": 0.001},
    "schedule": {"iterations": 4, "milestones": [3]},
    "run": {"batch": 2, "log_every": 1, "checkpoint_every": 2, "eval_every": 2, "kernels": "torch"},
}
pytestmark = pytest.mark.filterwarnings("ignore:frozen BN")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A COCO data set of six noisy pictures with a box each, as an entry of ``data.train``."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for number in range(1, 7):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": 48, "width": 64})
        box = [4.0 * number, 5.0, 20.0, 24.5]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1 + number % 2, "bbox": box, "area": 490.0, "iscrowd": 0}
        )
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "train.json").write_text(json.dumps(content))
    return {"format": "coco", "root": str(tmp_path / "images"), "annotations": str(tmp_path / "train.json")}


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "det.yaml"
    path.write_text(yaml.safe_dump(DETECTOR))
    return path


class Pictures(torch.utils.data.Dataset[tuple[Image.Image, dict[str, Any]]]):
    """The same pictures as a data set of one's own."""

    classes = ("cat", "dog")

    def __init__(self, files: dict[str, Any]) -> None:
        self.dataset = read_coco(Path(files["root"]), Path(files["annotations"]))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Image.Image, dict[str, Any]]:
        image, target = self.dataset.load(index)
        return image, {"boxes": target.boxes, "labels": target.labels.tolist()}


class Watching(resdet.Hook):
    """Ends a run after so many steps."""

    def __init__(self, end: int = 100) -> None:
        self.end = end
        self.seen: list[tuple[int, float]] = []
        self.scores: list[float] = []

    def after_step(self, run: resdet.Run) -> None:
        self.seen.append((run.iteration, run.losses["loss"]))
        if run.iteration == self.end:
            run.iterations = run.iteration

    def after_evaluation(self, run: resdet.Run) -> None:
        self.scores.append(run.metrics["bbox"]["AP"])


def test_training_from_python_is_the_command(files: dict[str, Any], run_file: Path, tmp_path: Path) -> None:
    hook = Watching()
    run = resdet.train(run_file, data={"train": [files], "val": files}, output=tmp_path / "python", device="cpu", hooks=[hook])
    flags = [f"data.train=[{json.dumps(files)}]", *(f"data.val.{key}={value}" for key, value in files.items())]
    command = ["train-det", "--config", str(run_file), "--output", str(tmp_path / "command"), "--device", "cpu"]
    assert main([*command, *flags]) == 0
    assert (run.folder / "model.safetensors").read_bytes() == (tmp_path / "command" / "model.safetensors").read_bytes()
    assert run.metrics == json.loads((run.folder / "metrics.json").read_text())
    assert run.iteration == 4
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert hook.seen == [(line["iteration"], line["loss"]) for line in lines if "loss" in line]
    assert hook.scores == [line["eval"]["bbox"]["AP"] for line in lines if "eval" in line]
    assert len(hook.scores) == 2
    assert resdet.load(run.folder / "model.safetensors", device="cpu").names == ("cat", "dog") == run.model.names


def test_a_data_set_of_ones_own_trains_the_same_weights_as_its_files(
    files: dict[str, Any], run_file: Path, tmp_path: Path
) -> None:
    own = Pictures(files)
    runs = [
        resdet.train(run_file, data={"train": train, "val": val}, output=tmp_path / name, device="cpu")
        for name, train, val in (("files", [files], files), ("own", own, own), ("mixed", own, files))
    ]
    states = [load_file(run.folder / "model.safetensors") for run in runs]
    for name, tensor in states[0].items():
        assert torch.equal(states[1][name], tensor), name
        assert torch.equal(states[2][name], tensor), name
    assert runs[0].metrics["bbox"] == runs[1].metrics["bbox"] == runs[2].metrics["bbox"]
    assert len(runs[1].metrics["bbox"]) > 10


def test_a_data_set_of_ones_own_takes_the_place_of_files_that_a_run_file_names(files: dict[str, Any], tmp_path: Path) -> None:
    missing = {"format": "coco", "root": "nowhere", "annotations": "nowhere.json"}
    values = {**DETECTOR, "data": {**DETECTOR["data"], "train": [missing], "val": missing}, "schedule": {"iterations": 1}}
    (tmp_path / "det.yaml").write_text(yaml.safe_dump(values))
    own = Pictures(files)
    run = resdet.train(tmp_path / "det.yaml", data={"train": own, "val": own}, output=tmp_path / "run", device="cpu")
    assert len(run.metrics["bbox"]) > 10
    run = resdet.train(tmp_path / "det.yaml", data={"train": own}, output=tmp_path / "alone", device="cpu")
    assert run.metrics == {}


def test_the_plateau_schedule_follows_a_validation_set_of_ones_own(
    files: dict[str, Any], run_file: Path, tmp_path: Path
) -> None:
    own = Pictures(files)
    plateau = {"schedule.policy": "plateau", "schedule.patience": 1, "schedule.threshold": 2, "run.eval_every": 1}
    run = resdet.train(run_file, data={"train": own, "val": own}, output=tmp_path / "run", device="cpu", **plateau)
    assert run.lr < run.config.optimizer.lr  # no score rises by 2
    with pytest.raises(ConfigError, match=r"plateau needs a validation set, 'data\.val' has none"):
        resdet.train(run_file, data={"train": own}, output=tmp_path / "alone", device="cpu", **plateau)


def test_a_hook_ends_a_run_evaluated_and_saved(files: dict[str, Any], run_file: Path, tmp_path: Path) -> None:
    run = resdet.train(
        run_file, data={"train": [files], "val": files}, output=tmp_path / "out", device="cpu", hooks=[Watching(end=3)]
    )
    state = torch.load(run.folder / "state.pt", weights_only=True)
    assert (run.iteration, state["iteration"]) == (3, 3)
    again = run.resume()
    assert (again.iteration, again.folder) == (4, run.folder)
    whole = resdet.train(run_file, data={"train": [files], "val": files}, output=tmp_path / "whole", device="cpu")
    assert (again.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_evaluation_from_python_is_the_command(files: dict[str, Any], run_file: Path, tmp_path: Path) -> None:
    run = resdet.train(run_file, data={"train": [files]}, output=tmp_path / "run", device="cpu", schedule={"iterations": 1})
    assert run.metrics == {}
    found = resdet.evaluate(run.folder / "config.yaml", data={"val": files}, output=tmp_path / "python")
    flags = [f"data.val.{key}={value}" for key, value in files.items()]
    command = ["eval", "--config", str(run.folder / "config.yaml"), "--output", str(tmp_path / "command")]
    assert main([*command, *flags]) == 0
    assert found.metrics == json.loads((tmp_path / "command" / "metrics.json").read_text())
    assert tmp_path / "python" / "metrics.json" in found.files
    own = resdet.evaluate(run.folder / "config.yaml", data={"val": Pictures(files)}, output=tmp_path / "own")
    assert own.metrics["bbox"] == found.metrics["bbox"]
    joined = torch.utils.data.ConcatDataset([Pictures(files), Pictures(files)])
    assert len(resdet.evaluate(run.folder / "config.yaml", data={"val": joined}, output=tmp_path / "own").metrics["bbox"]) > 10


class Colours(torch.utils.data.Dataset[tuple[Any, int]]):
    """Squares of noise, in every form that an image may have."""

    classes = ("dark", "bright")

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Any, int]:
        label = index % 2
        pixels = np.random.default_rng(index).integers(128 * label, 127 + 128 * label, (40, 40, 3), dtype=np.uint8)
        return (Image.fromarray(pixels), pixels, torch.from_numpy(pixels).permute(2, 0, 1))[index % 3], label


def test_a_classifier_of_a_data_set_of_ones_own(tmp_path: Path) -> None:
    values = {
        "task": "classification",
        "model": {"backbone": {"name": "resnet18", "width": 4}},
        "data": {"crop": 32, "short_side": [32, 40], "test_short_side": 32, "workers": 0},
        "optimizer": {"lr": 0.01},
        "schedule": {"iterations": 100},
        "run": {"batch": 6, "kernels": "torch"},
    }
    (tmp_path / "cls.yaml").write_text(yaml.safe_dump(values))
    run = resdet.train(
        tmp_path / "cls.yaml", data={"train": Colours(), "val": Colours()}, output=tmp_path / "run", device="cpu"
    )
    assert run.metrics["top1_error"] == 0
    assert run.model.names == ("dark", "bright")
    part = torch.utils.data.Subset(Colours(), [0, 3, 5])
    found = resdet.evaluate(
        tmp_path / "cls.yaml", run.folder / "model.safetensors", data={"val": part}, output=tmp_path / "part"
    )
    assert (found.metrics["top1_error"], found.metrics["per_class"]["bright"]["images"]) == (0, 2)
    other = Colours()
    other.classes = ("bright", "dark")
    with pytest.raises(
        ConfigError, match=r"Colours: its classes must be the model's, .*: \['dark', 'bright'\], got \['bright', 'dark'\]"
    ):
        resdet.evaluate(tmp_path / "cls.yaml", run.folder / "model.safetensors", data={"val": other}, output=tmp_path / "part")


class Broken(Colours):
    def __getitem__(self, index: int) -> Any:
        image = Image.new("RGB", (20, 10))
        if index == 0:
            return image
        if index == 1:
            return "picture", {"boxes": [], "labels": []}
        if index == 2:
            return image, {"boxes": [[0, 0, 5, 5], [5, 5, 5, 8]], "labels": [0]}
        return image, {"boxes": [[0, 0, 5, 5]], "labels": [2 if index == 3 else 1]}


def test_every_mistake_of_a_data_set_is_told_at_once(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        resdet.train(run_file, data={"train": Broken()}, output=tmp_path / "run")
    problems = "\n".join(caught.value.problems)
    for message in (
        'Broken[0]: must be a pair (image, {"boxes", "labels"}), got Image',
        "Broken[1]: image: must be the picture itself",
        "Broken[2]: must have as many labels as boxes, got 1 and 2",
        "Broken[2]: box 1: must be x1 < x2, y1 < y2, got [5.0, 5.0, 5.0, 8.0]",
        "Broken[3]: label 0: must be 0 … 1, got 2",
    ):
        assert message in problems, message
    assert len(caught.value.problems) == 5
    assert not (tmp_path / "run").exists()


def test_numbers_of_numpy_are_options() -> None:
    assert list(_overrides({"run": {"seed": np.int64(3)}, "lr": np.float32(0.5), "milestones": np.arange(2)})) == [
        "run.seed=3",
        "lr=0.5",
        "milestones=[0, 1]",
    ]


def test_options_that_are_none(run_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown option 'optimizer.learning_rate'"):
        resdet.train(run_file, optimizer={"learning_rate": 1})
    with pytest.raises(ConfigError, match=r"option 'optimizer.lr': must be a number, a text, .* got <object"):
        resdet.train(run_file, optimizer={"lr": object()})
    with pytest.raises(ConfigError, match=r"'data' must be a mapping beside a config, such as .*, got 5"):
        resdet.train(run_file, data=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"'data' must be a mapping beside a config, such as .*, got 'photos'"):
        resdet.evaluate(run_file, data="photos")  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r"'hooks' must be objects of resdet\.Hook's kind, got the class Hook: give .*, Hook\(\)"
    ):
        resdet.train(run_file, hooks=[resdet.Hook])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"'hooks' must be objects .*, got 3"):
        resdet.train(run_file, hooks=[3])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="'val' is a data set of one's own, 'train' must be one, too"):
        resdet.train(run_file, data={"val": Colours()})
    with pytest.raises(ConfigError, match="Unnamed: must have 'classes'"):
        resdet.train(run_file, data={"train": type("Unnamed", (), {"__len__": len, "__getitem__": len})()})
