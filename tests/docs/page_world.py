"""The files that the pages' commands name, as small as they may be, each under its name in the working folder."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tiny_detectors
import torch
import yaml
from cifar_files import written_cifar10
from PIL import Image
from videos import written_video

from resdet.cli import main
from resdet.config import config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.data.synthetic.scenes import make_shapes
from resdet.models.backbones.registry import create_backbone
from resdet.models.build import build_classifier, build_localizer
from resdet.models.convert.names import default_names
from resdet.models.model_file import ModelCard, write_model

NAMES = ["person", "dog", "cat", "car", "bus", "cup", "kite", "tie"]
WNIDS = ["n01440764", "n01443537"]
SIDES = {"test_short_side": 64, "max_side": 96}
PHOTOS = "photos/images/val"
TRUTH = "photos/annotations/instances_val.json"


def make_world() -> None:
    """Write all of it."""
    _photos()
    _detectors()
    _classifiers()
    _localizers()
    written_cifar10(Path("datasets/cifar-10-batches-py"), images=8)
    _foreign_weights()


def same_file(origin: str, *names: str) -> None:
    """A file or folder under other names, too."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if Path(origin).is_dir():
            shutil.copytree(origin, name)
        else:
            Path(name).symlink_to(Path(origin).resolve())


def _photos() -> None:
    """Nine photos with objects of eight classes, in the layouts that the pages name; crops of the objects; a video, a scan."""
    make_shapes("photos", train=6, val=3, size=64, seed=0)
    Path("photos/crops").rename("pets")
    for path in Path("photos/annotations").iterdir():
        content = json.loads(path.read_text())
        for category, name in zip(content["categories"], NAMES, strict=True):
            category["name"] = name
        if path.stem.endswith("val"):  # COCO's ids are those of all its images
            for row, key in [
                *((row, "id") for row in content["images"]),
                *((row, "image_id") for row in content["annotations"]),
            ]:
                row[key] += 1000
        path.write_text(json.dumps(content))
    shutil.make_archive("photos", "zip", ".", "photos")
    same_file(PHOTOS, "new_photos", "folder", "val2017", "demo/data/images/val")
    first = min(Path(PHOTOS).iterdir())
    same_file(str(first), "photo.jpg")
    same_file(TRUTH, "val.json", "instances.json", "instances_val2017.json")
    content = json.loads(Path(TRUTH).read_text())
    content["categories"] = [
        {"id": number, "name": name} for number, name in enumerate(default_names("detection", 80) or [], 1)
    ]
    for split in ("train", "val"):
        same_file(f"photos/images/{split}", f"datasets/coco/{split}2017")
    Path("datasets/coco/annotations").mkdir()
    Path("datasets/coco/annotations/instances_val2017.json").write_text(json.dumps(content))
    for name, split in (("VOC2007", "test"), ("datasets/voc/VOC2012", "val")):
        source = ("--format", "coco", "--root", PHOTOS, "--annotations", TRUTH)
        assert main(["data", "convert", *source, "--as", split, "--to", "voc", name]) == 0
    same_file("VOC2007", "datasets/voc/VOC2007")
    pixels = np.asarray(Image.open(first).convert("RGB"))
    written_video(Path("clip.avi"), [pixels, np.flip(pixels, 1)])
    Path("clip.avi").replace("clip.mp4")  # OpenCV looks at what a file holds, not at its name
    Image.fromarray(pixels).resize((1100, 600)).save("scan.tif")


def _detectors() -> None:
    """Model files of two detectors; a run file, what a run of it left, and one before it; results of both kinds."""
    for name, seed in (("model", 1), ("b", 2)):
        tiny_detectors.written(Path(f"{name}.safetensors"), tiny_detectors.tiny_detector(seed, NAMES), (64, 96))
    same_file("model.safetensors", "a.safetensors", "m.safetensors", "demo/det/model.safetensors")

    def source(split: str) -> dict[str, Any]:
        return {"format": "coco", "root": f"photos/images/{split}", "annotations": f"photos/annotations/instances_{split}.json"}

    values = {
        "task": "detection",
        "model": {**tiny_detectors.SMALL, "weights": "model.safetensors", "test": {"score_thresh": 0.01}},
        "data": {"train": [source("train")], "val": source("val"), "short_side": [64], "workers": 0, **SIDES},
        "schedule": {"iterations": 2},
        "run": {"batch": 1, "loggers": []},
        "output": "runs/mine",
    }
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    assert main(["train-det", "--config", "mine.yaml"]) == 0
    same_file("runs/mine", "runs/before")
    same_file("runs/mine/detections.json", "detections.json")
    voc = {"format": "voc", "root": "VOC2007", "split": "test"}
    Path("voc.yaml").write_text(yaml.safe_dump({**values, "data": {**values["data"], "val": voc}}))  # type: ignore[dict-item]
    assert main(["eval", "--config", "voc.yaml", "--weights", "model.safetensors", "--output", "results_voc"]) == 0
    same_file("results_voc/voc", "FOLDER", "results/VOC2007/Main")
    rows = json.loads(Path("runs/mine/label_suspicions.json").read_text())
    image = json.loads(Path(TRUTH).read_text())["images"][0]
    agreed = {"kind": "no box", "image_id": image["id"], "file": image["file_name"], "category": "dog", "annotated": None}
    rows = [{**agreed, "annotation_id": None, "score": 0.9, "bbox": [1, 1, 9, 9]}, *rows[:1]]
    Path("agreed.json").write_text(json.dumps(rows))


def _written(path: str, model: Any, task: str, architecture: Any, names: list[str], sides: dict[str, int]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_model(
        Path(path), model.state_dict(), ModelCard(task, config_to_dict(architecture), names, model.pixels.to_dict(), sides)
    )


def _classifiers() -> None:
    """Two classifiers of CIFAR-10's classes, of two of ImageNet's with their images, and of those of the photos."""
    for folder, network, names in (
        ("cifar", "cifar_resnet14", [f"class{number}" for number in range(10)]),
        ("imagenet", "resnet18", WNIDS),
        ("objects", "resnet18", NAMES),
    ):
        architecture = ClassifierConfig(BackboneConfig(network, width=4))
        for seed, name in enumerate("ab"):
            torch.manual_seed(seed)
            classifier = build_classifier(architecture, names).eval()
            _written(
                f"{folder}/{name}.safetensors",
                classifier,
                "classification",
                architecture,
                names,
                {"short_side": 36, "crop": 32},
            )
            torch.save(classifier.backbone.state_dict(), f"{folder}/{name}.pth")
    folders = {split: {"format": "folder", "root": f"pets/{split}"} for split in ("train", "val")}
    Path("pets.yaml").write_text(yaml.safe_dump({"task": "classification", "data": {**folders, "crop": 24, "workers": 0}}))
    for split in ("train", "val"):
        for number, name in enumerate(WNIDS * 2):
            path = Path(f"datasets/imagenet/{split}/{name}/{split}_{number}.JPEG")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.open("photo.jpg").save(path)


def _localizers() -> None:
    """A localizer of the photos' classes, and a run file for it."""
    model = {"backbone": {"name": "resnet18", "width": 4}, "test": {"short_sides": [64]}}
    architecture = LocalizerConfig(backbone=BackboneConfig(name="resnet18", width=4))
    _written("localizer.safetensors", build_localizer(architecture, NAMES), "localization", architecture, NAMES, {"crop": 64})
    values = {
        "task": "localization",
        "model": model,
        "data": {"val": {"format": "coco", "root": PHOTOS, "annotations": TRUTH}, "crop": 64, "workers": 0},
        "classes": {"model": {"backbone": model["backbone"]}, "short_side": 32, "crop": 32},
        "output": "runs/C",
    }
    Path("C").write_text(yaml.safe_dump(values))


def _foreign_weights() -> None:
    """Files under the names of torchvision's and Detectron2's, of narrow networks."""
    for name in ("resnet18", "resnet50", "resnet101"):
        path = Path(f"datasets/weights/{name}.pth")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(create_backbone(name, num_classes=1000, width=8).state_dict(), path)
    same_file("datasets/weights/resnet50.pth", "resnet50-11ad3fa6.pth")
    section = {"backbone": {"name": "resnet50", "width": 8, "stride_in_1x1": True, "pixels": "msra"}}
    section |= {"anchors": {"sizes": [32, 64, 128, 256, 512]}}
    names = default_names("detection", 80)
    tiny_detectors.written(Path("eighty.safetensors"), tiny_detectors.tiny_detector(0, names, **section), **section)
    assert main(["convert", "eighty.safetensors", "eighty.pth", "--to", "detectron2"]) == 0
    tensors = {name: value.numpy() for name, value in torch.load("eighty.pth", weights_only=True)["model"].items()}
    Path("model_final_721ade.pkl").write_bytes(pickle.dumps({"model": tensors, "__author__": "zoo"}))
    Path("config.yaml").unlink()  # which is about that file
