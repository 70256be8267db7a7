"""Ways to break what a run needs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from run_files import changed, write_run_file
from safetensors.torch import save_file

from resdet.cli import main
from resdet.config import config_to_dict
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.models.backbones.weights.evidence import input_scale
from resdet.models.build import build_classifier
from resdet.models.model_file import ModelCard, read_model, write_model


@dataclass
class Lab:
    """Good run files over small data sets that a row may break.

    Attributes:
        folder: the test's own; the runs' output is ``folder/run``.
        coco: images and annotations of two classes, box and disk.
        detection, classification: values of run files over ``coco`` and ``crops``.
        classifier, detector: folders of finished runs on the shapes data set.
    """

    folder: Path
    coco: Any
    crops: Path
    detection: dict
    classification: dict
    classifier: Path
    detector: Path

    @property
    def output(self) -> Path:
        return self.folder / "run"

    def train_det(self, *overrides: str, **changes: Any) -> list[str]:
        return self._train("train-det", self.detection, overrides, changes)

    def train_cls(self, *overrides: str, **changes: Any) -> list[str]:
        return self._train("train-cls", self.classification, overrides, changes)

    def _train(self, command: str, values: dict, overrides: tuple[str, ...], changes: dict) -> list[str]:
        options = {name.replace("__", "."): value for name, value in changes.items()}
        file = write_run_file(self.folder / f"{command}.yaml", changed(values, options))
        return [command, "--config", str(file), "--output", str(self.output), "--device", "cpu", *overrides]

    def eval(self, *overrides: str, weights: Path | None = None, config: Path | None = None) -> list[str]:
        """Evaluation of the shapes detector, as its own run file says."""
        config = config or self.detector / "config.yaml"
        weights = weights or self.detector / "model.safetensors"
        return ["eval", "--config", str(config), "--weights", str(weights), "--output", str(self.output), *overrides]

    def predict(self, *arguments: object, weights: Path | None = None) -> list[str]:
        weights = weights or self.detector / "model.safetensors"
        return ["predict", "--weights", str(weights), "--output", str(self.output), *map(str, arguments)]

    def coco_with(self, change: Callable[[dict], object]) -> list[str]:
        """Training on the COCO data set with its content changed."""
        content = self.coco.read()
        change(content)
        self.coco.write(content)
        return self.train_det()

    def score(self, ground_truth: object, detections: object) -> list[str]:
        """Scoring of two json files; text is written as it is."""
        paths = []
        for name, content in (("ground_truth.json", ground_truth), ("detections.json", detections)):
            path = self.folder / name
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            paths.append(str(path))
        return ["eval", "--ground-truth", paths[0], "--detections", paths[1]]


def then(*steps: Any) -> list[str]:
    """The last of ``steps``, the command; those before have broken what they were to break."""
    return steps[-1]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def damaged(path: Path, damage: Callable[[Path], bytes]) -> Path:
    return written(path, damage(path))


def truncated(path: Path) -> bytes:
    return path.read_bytes()[:-60]


def other_size(path: Path) -> bytes:
    Image.new("RGB", (7, 9)).save(path)
    return path.read_bytes()


def broken_image(lab: Lab, damage: Callable[[Path], bytes], workers: int) -> list[str]:
    """Training over the COCO data set, one of whose images is damaged."""
    damaged(lab.coco.images / "000002.png", damage)
    return lab.train_det(f"data.workers={workers}")


def validation_source(lab: Lab) -> dict[str, str]:
    return {"format": "coco", "root": str(lab.folder / "validation"), "annotations": str(lab.folder / "validation.json")}


def validation_with(lab: Lab, name: str) -> None:
    """Make a COCO data set of one image whose two categories are box and ``name``."""
    folder = lab.folder / "validation"
    folder.mkdir()
    Image.new("RGB", (64, 48)).save(folder / "v.png")
    content = {
        "images": [{"id": 1, "file_name": "v.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 40], "area": 1200, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "box"}, {"id": 2, "name": name}],
    }
    (lab.folder / "validation.json").write_text(json.dumps(content))


def coco_val(lab: Lab) -> list[str]:
    return [f"data.val.root={lab.coco.images}", f"data.val.annotations={lab.coco.annotations}"]


def voc(lab: Lab, xml: str = "<annotation/>") -> Path:
    """A VOC folder with the one image ``a``."""
    root = lab.folder / "voc"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (root / "Annotations" / "a.xml").write_text(xml)
    Image.new("RGB", (30, 20)).save(root / "JPEGImages" / "a.jpg")
    return root


def half_of(path: Path, folder: Path) -> Path:
    content = path.read_bytes()
    return written(folder / f"half{path.suffix}", content[: len(content) // 2])


class _Payload:
    """Makes a file when it is unpickled by someone careless."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return open, (str(self.target), "w")


def malicious(path: Path, target: Path) -> Path:
    """A torch file that makes ``target`` when it is unpickled; made sure by doing it once."""
    pickle.loads(pickle.dumps(_Payload(target))).close()
    assert target.exists()
    target.unlink()
    torch.save({"format": "resdet training state 1", "conv1.weight": _Payload(target)}, path)
    return path


def foreign_safetensors(lab: Lab) -> Path:
    path = lab.folder / "foreign.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, path)
    return path


def foreign_of_bytes(lab: Lab) -> Path:
    """A state dict without a card, with the statistics of a network that was fed bytes."""
    tensors, _ = read_model(lab.classifier / "model.safetensors")
    state = {key.removeprefix("backbone."): value for key, value in tensors.items()}
    scale = input_scale(state)
    assert scale is not None
    state["bn1.running_var"] = state["bn1.running_var"] * (58 / scale) ** 2
    torch.save(state, lab.folder / "foreign.pth")
    return lab.folder / "foreign.pth"


def caffe_like(lab: Lab) -> Path:
    """A model file of a network with its stride in the 1x1."""
    config = ClassifierConfig(BackboneConfig(name="resnet50", width=8, stride_in_1x1=True))
    model = build_classifier(config, ["a", "b"])
    card = ModelCard(
        "classification", config_to_dict(config), ["a", "b"], model.pixels.to_dict(), {"short_side": 32, "crop": 32}
    )
    write_model(lab.folder / "caffe.safetensors", model.state_dict(), card)
    return lab.folder / "caffe.safetensors"


def finished(lab: Lab, damage: Callable[[bytes], bytes] | None = None) -> list[str]:
    """Train a step, damage the state, and return the command that was run."""
    command = lab.train_cls("schedule.iterations=1")
    assert main(command) == 0
    if damage:
        state = lab.output / "state.pt"
        state.write_bytes(damage(state.read_bytes()))
    return command
