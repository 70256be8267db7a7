"""From generated data to finished runs and their numbers: training, and the evaluation of what it wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import resdet
from resdet.cli import main
from resdet.data.synthetic.shapes import CLASS_NAMES
from resdet.inference.detector import Detector

NUMBERS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
RUN_FILES = {
    ".lock",
    "config.yaml",
    "log.jsonl",
    "metrics.json",
    "model.safetensors",
    "best.safetensors",
    "state.pt",
    "state.previous.pt",
    "report",
    "report.html",
}


@dataclass(frozen=True)
class Evaluated:
    """What ``eval`` wrote about the detector."""

    folder: Path
    metrics: dict
    detections: list[dict]
    ground_truth: Path


@pytest.fixture(scope="module")
def evaluated(detector_run: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    folder = tmp_path_factory.mktemp("evaluated")
    run = ["--config", str(detector_run / "config.yaml"), "--weights", str(detector_run / "model.safetensors")]
    assert main(["eval", *run, "--output", str(folder), "model.test.score_thresh=0.001"]) == 0
    metrics, detections = (json.loads((folder / name).read_text()) for name in ("metrics.json", "detections.json"))
    return Evaluated(folder, metrics, detections, shapes / "annotations" / "instances_val.json")


# ------------------------------------------------------------------------------------------------------------- training


def test_classifier_run_folder(classifier_run: Path) -> None:
    names = {path.name.partition(".out")[0] for path in classifier_run.iterdir()}
    assert names == RUN_FILES | {"events", "predictions.npz", "confusion.csv"}
    metrics = json.loads((classifier_run / "metrics.json").read_text())
    assert 0 <= metrics["top5_error"] <= metrics["top1_error"] <= 1
    assert set(metrics["per_class"]) == set(CLASS_NAMES)
    assert Image.open(classifier_run / "report" / "curves.png").size > (100, 100)


def test_bn_statistics_are_recomputed_in_the_model_and_not_in_the_state(classifier_run: Path) -> None:
    model = load_file(classifier_run / "model.safetensors")
    state = torch.load(classifier_run / "state.pt", weights_only=True)["model"]
    differing = {name for name in model if not torch.equal(model[name], state[name])}
    assert differing == {name for name in model if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}


def test_detector_run_folder(detector_run: Path) -> None:
    names = {path.name.partition(".out")[0] for path in detector_run.iterdir()}
    assert names == RUN_FILES | {"events", "detections.json", "label_suspicions.json"}
    assert {path.name for path in (detector_run / "report").iterdir()} == {"curves.png", "detections.png"}


def test_tensorboard_shows_what_the_evaluation_found(detector_run: Path) -> None:
    found = EventAccumulator(str(detector_run), {"images": 0, "tensors": 0, "histograms": 0, "scalars": 0})
    found.Reload()
    tags, metrics = found.Tags(), json.loads((detector_run / "metrics.json").read_text())
    assert len(tags["images"]) == 6  # the whole validation set
    assert all(image.width <= 800 for image in found.Images(tags["images"][0]))
    assert {f"precision_recall/{name}" for name in metrics["per_class"]} < set(tags["tensors"])
    frozen = load_file(detector_run / "model.safetensors").keys() - {name.partition("/")[2] for name in tags["histograms"]}
    assert "trunk.conv1.weight" in frozen
    assert "roi_heads.cls_score.weight" not in frozen
    assert found.Scalars("eval/bbox/AP")[-1].value == pytest.approx(metrics["bbox"]["AP"], rel=2**-22)  # float32


def test_detector_keeps_the_classifier_s_frozen_parts(classifier_run: Path, detector_run: Path) -> None:
    before, after = (load_file(run / "model.safetensors") for run in (classifier_run, detector_run))
    assert torch.equal(before["backbone.conv1.weight"], after["trunk.conv1.weight"])  # freeze_at: 1
    for part, prefix in (("layer1.0.bn1", "trunk."), ("layer3.1.bn2", "trunk."), ("layer4.1.bn2", "roi_heads.res5.")):
        key = next(
            key for key in after if key.startswith(prefix) and key.endswith(f"{part[6:]}.running_var") and part[:6] in key
        )
        assert torch.equal(before[f"backbone.{part}.running_var"], after[key])
    assert not torch.equal(before["backbone.layer2.0.conv1.weight"], after["trunk.layer2.0.conv1.weight"])


def test_resuming_on_other_data_is_refused(
    detection_values: dict, run_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = detection_values["data"]["train"]
    annotations = tmp_path / "train.json"
    content = json.loads(Path(source["annotations"]).read_text())
    annotations.write_text(json.dumps(content))
    changes = {"data.train": [{**source, "annotations": str(annotations)}], "data.val": {}, "data.workers": 0}
    file = run_file(detection_values, {**changes, "schedule": {"iterations": 2}})
    command = ["train-det", "--config", file, "--output", str(tmp_path / "run")]
    assert main(command) == 0
    model = (tmp_path / "run" / "model.safetensors").read_bytes()
    content["categories"][0]["name"] = "renamed"
    annotations.write_text(json.dumps(content))
    capsys.readouterr()
    assert main([*command, "--resume"]) == 2
    assert "trained on names ['disk'" in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == model


def test_training_and_evaluation_on_voc_files(
    detection_values: dict, shapes: Path, run_file: Callable[..., str], tmp_path: Path
) -> None:
    root = voc_copy(shapes, tmp_path / "voc")
    sources = {"data.train": [{"format": "voc", "root": str(root), "split": "train"}]}
    val = {"data.val": {"format": "voc", "root": str(root), "split": "val"}, "data.metric": "voc07"}
    file = run_file(detection_values, {**sources, **val, "schedule": {"iterations": 3}, "data.workers": 0})
    assert main(["train-det", "--config", file, "--output", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert list(metrics["bbox"]) == NUMBERS
    assert metrics["voc"]["metric"] == "voc07"
    assert 0 <= metrics["voc"]["mAP"] <= 1
    assert resdet.load(tmp_path / "run" / "model.safetensors").names == tuple(sorted(CLASS_NAMES))


# ----------------------------------------------------------------------------------------------------------- evaluation


def test_metrics_and_detections_files(evaluated: Evaluated) -> None:
    assert list(evaluated.metrics) == ["bbox", "per_class", "meta"]
    assert list(evaluated.metrics["bbox"]) == NUMBERS
    assert all(value is None or 0 <= value <= 1 for value in evaluated.metrics["bbox"].values())
    assert list(evaluated.metrics["per_class"]) == list(CLASS_NAMES)
    assert all(set(row) == {"AP", "AP50"} for row in evaluated.metrics["per_class"].values())
    assert len(evaluated.detections) > 10
    for row in evaluated.detections:
        assert set(row) == {"image_id", "category_id", "bbox", "score"}
        assert row["image_id"] in range(1, 7)
        assert row["category_id"] in range(1, 9)
        assert min(row["bbox"][2:]) > 0
        assert 0.001 < row["score"] <= 1


@pytest.mark.parametrize("evaluator", ["hotcoco", "pycocotools"])
def test_the_results_file_alone_gives_the_same_numbers(evaluated: Evaluated, evaluator: str, tmp_path: Path) -> None:
    files = ["--ground-truth", str(evaluated.ground_truth), "--detections", str(evaluated.folder / "detections.json")]
    assert main(["eval", *files, "--evaluator", evaluator, "--output", str(tmp_path)]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["bbox"] == pytest.approx(evaluated.metrics["bbox"], abs=1e-12)
    assert metrics["per_class"] == evaluated.metrics["per_class"]


def test_evaluation_by_pycocotools_and_by_default_options(evaluated: Evaluated, detector_run: Path) -> None:
    """Without ``--weights`` and ``--output`` the files are those of the config's output."""
    file = str(detector_run / "config.yaml")
    assert main(["eval", "--config", file, "--evaluator", "pycocotools", "model.test.score_thresh=0.001"]) == 0
    metrics = json.loads((detector_run / "eval" / "metrics.json").read_text())
    shutil.rmtree(detector_run / "eval")
    assert metrics["bbox"] == pytest.approx(evaluated.metrics["bbox"], abs=1e-12)


def test_perfect_and_empty_results_files(evaluated: Evaluated, tmp_path: Path) -> None:
    truth = json.loads(evaluated.ground_truth.read_text())
    kept = ("image_id", "category_id", "bbox")
    perfect = [{**{key: row[key] for key in kept}, "score": 0.5} for row in truth["annotations"] if not row["iscrowd"]]
    for name, rows, expected in (("perfect", perfect, 1.0), ("empty", [], 0.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
        files = ["--ground-truth", str(evaluated.ground_truth), "--detections", str(tmp_path / f"{name}.json")]
        assert main(["eval", *files]) == 0
        bbox = json.loads((tmp_path / "eval" / "metrics.json").read_text())["bbox"]
        assert (bbox["AP"], bbox["AR100"]) == (expected, expected)


def test_classifier_evaluation(classifier_run: Path, tmp_path: Path) -> None:
    run = ["--config", str(classifier_run / "config.yaml"), "--weights", str(classifier_run / "model.safetensors")]
    assert main(["eval", *run, "--output", str(tmp_path)]) == 0
    assert (tmp_path / "metrics.json").read_bytes() == (classifier_run / "metrics.json").read_bytes()


def test_predict_in_python_gives_the_boxes_of_the_results_file(evaluated: Evaluated, detector_run: Path, shapes: Path) -> None:
    # the file's own score threshold is 0.002
    detector = resdet.load(detector_run / "model.safetensors", device="cpu")
    assert isinstance(detector, Detector)
    truth = json.loads(evaluated.ground_truth.read_text())
    total = 0
    for image in truth["images"]:
        found = detector.predict(shapes / "images" / "val" / image["file_name"], score_thresh=0.0)
        expected = [row for row in evaluated.detections if row["image_id"] == image["id"] and row["score"] > 0.002]
        ours = [{**row, "image_id": image["id"]} for row in found.to_coco(range(1, 9))]
        assert ours == expected
        assert found.size == (image["height"], image["width"])
        total += len(ours)
    assert total > 0


# -------------------------------------------------------------------------------------------------------------- helpers


def voc_copy(shapes: Path, root: Path) -> Path:
    """The shapes data set as VOC files, the crowds as difficult objects."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for split in ("train", "val"):
        content = json.loads((shapes / "annotations" / f"instances_{split}.json").read_text())
        names = {row["id"]: row["name"] for row in content["categories"]}
        keys = []
        for image in content["images"]:
            key = f"{split}_{image['id']:06d}"
            keys.append(key)
            shutil.copy(shapes / "images" / split / image["file_name"], root / "JPEGImages" / f"{key}.jpg")
            objects = "".join(
                f"<object><name>{escape(names[row['category_id']])}</name><difficult>{row['iscrowd']}</difficult><bndbox>"
                f"<xmin>{row['bbox'][0] + 1}</xmin><ymin>{row['bbox'][1] + 1}</ymin>"
                f"<xmax>{row['bbox'][0] + row['bbox'][2]}</xmax><ymax>{row['bbox'][1] + row['bbox'][3]}</ymax>"
                "</bndbox></object>"
                for row in content["annotations"]
                if row["image_id"] == image["id"]
            )
            size = f"<size><width>{image['width']}</width><height>{image['height']}</height><depth>3</depth></size>"
            (root / "Annotations" / f"{key}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(keys) + "\n")
    return root
