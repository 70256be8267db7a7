"""Several processes evaluate to the same bytes as one, whatever the number of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_classifiers
import tiny_localizers
import yaml
from coco_files import CocoFiles
from in_ranks import ended_ranks, in_ranks
from PIL import Image
from tiny_detectors import SMALL, picture, tiny_detector, written

from resdet.config import load_config
from resdet.distributed.ranks import Ranks
from resdet.training.evaluate import EvaluationOptions, evaluate_files

OPTIONS = EvaluationOptions(device="cpu", backend="pycocotools")


def evaluated(ranks: Ranks, run_file: Path, weights: list[str], folder: Path, options: EvaluationOptions = OPTIONS) -> Any:
    """Evaluate into a folder of each number of processes; the metrics and the number of written files."""
    results = evaluate_files(load_config(run_file), weights, folder / str(ranks.world), options)
    return results.metrics, len(results.files)


def assert_same_files(run_file: Path, weights: list[str], *names: str, options: EvaluationOptions = OPTIONS) -> None:
    """Fail unless one, two and four processes write the same, and all processes know the metrics."""
    folder = run_file.parent / "found"
    ((expected, count),) = in_ranks(1, evaluated, run_file, weights, folder, options)
    for world in (2, 4):
        for rank, found in enumerate(in_ranks(world, evaluated, run_file, weights, folder, options)):
            assert found == (expected, count if rank == 0 else 0)
        for name in names:
            content = (folder / "1" / name).read_bytes()
            assert len(content) > 100
            assert (folder / str(world) / name).read_bytes() == content, name
        written_files = [{path.name for path in (folder / each).rglob("*")} for each in ("1", str(world))]
        assert written_files[0] == written_files[1]


def detection_run_file(files: CocoFiles) -> Path:
    values = {
        "task": "detection",
        "model": {**SMALL, "test": {"score_thresh": 0.01}},
        "data": {
            "val": {"format": "coco", "root": str(files.images), "annotations": str(files.annotations)},
            "test_short_side": 48,
            "max_side": 64,
            "workers": 1,
        },
    }
    path = files.annotations.parent / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def detector(tmp_path: Path) -> str:
    return str(written(tmp_path / "a.safetensors", tiny_detector(1, ["box", "disk"]), (48, 64)))


@pytest.mark.parametrize("images", [6, 1])
def test_detectors(tiny_coco: CocoFiles, detector: str, images: int) -> None:
    content = tiny_coco.read()
    kept = {image["id"] for image in content["images"][:images]}
    content["images"] = content["images"][:images]
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
    tiny_coco.write(content)
    assert_same_files(detection_run_file(tiny_coco), [detector], "metrics.json", "detections.json", "report/detections.png")


def test_classifiers(tmp_path: Path) -> None:
    for label, name in enumerate(tiny_classifiers.NAMES):
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(5):
            seed = 10 * label + number
            side = 40 + seed % 3
            Image.fromarray(picture(seed, side, 48).permute(1, 2, 0).numpy()).save(tmp_path / "val" / name / f"{number}.png")
    values: dict[str, Any] = {
        "task": "classification",
        "model": {"backbone": {"name": "resnet18", "width": 4}},
        "data": {
            "train": {"format": "folder", "root": str(tmp_path / "val")},
            "val": {"format": "folder", "root": str(tmp_path / "val")},
            "crop": 32,
            "test_short_side": 40,
            "workers": 0,
        },
    }
    weights = str(tiny_classifiers.written(tmp_path / "model.safetensors"))
    for views in ({"views": "center"}, {"views": "dense", "short_sides": [600]}):  # one batch, and several
        values["test"] = views
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
        assert_same_files(tmp_path / "run.yaml", [weights], "metrics.json", "predictions.npz")


def test_localizers(tmp_path: Path) -> None:
    names = ("n01", "n02")
    (tmp_path / "val" / "images").mkdir(parents=True)
    (tmp_path / "wnids.txt").write_text("\n".join(names))
    lines = [f"val_{number}.png {names[number % 2]} {number} 2 40 30\n" for number in range(5)]
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    for number in range(5):
        Image.fromarray(picture(number, 48, 64).permute(1, 2, 0).numpy()).save(
            tmp_path / "val" / "images" / f"val_{number}.png"
        )
    values = {
        "task": "localization",
        "model": {**tiny_localizers.SMALL, "test": {"short_sides": [64]}},
        "data": {"val": {"format": "tiny_imagenet", "root": str(tmp_path), "split": "val"}, "crop": 64, "workers": 0},
        "classes": {"model": {"backbone": {"name": "resnet18", "width": 4}}, "short_side": 32, "crop": 32},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    weights = str(tiny_localizers.written(tmp_path / "rpn.safetensors", tiny_localizers.tiny_rpn(1, names)))
    classes = tiny_classifiers.tiny_classifier(names=names)
    options = replace(OPTIONS, classifiers=[str(tiny_classifiers.written(tmp_path / "classes.safetensors", classes))])
    files = ("metrics.json", "predictions.json", "submission.csv", "per_class.csv")
    assert_same_files(tmp_path / "run.yaml", [weights], *files, options=options)


def test_an_image_that_fails_ends_all(tiny_coco: CocoFiles, detector: str) -> None:
    (tiny_coco.images / "000004.png").write_bytes(b"no image")
    run_file = detection_run_file(tiny_coco)
    ended = ended_ranks(2, evaluated, run_file, [detector], run_file.parent / "found")
    assert [each.status for each in ended] == [3, 3]
    assert "error: rank 1, evaluation: " in ended[1].errors
    assert "000004.png" in ended[1].errors
    assert "error: " not in ended[0].errors
    assert not (run_file.parent / "found").exists()
