"""VOC results files scored against a folder of VOC annotations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from resdet.cli import main
from resdet.data.convert.write import convert_dataset
from resdet.data.formats.coco import read_coco
from resdet.data.formats.voc import image_names, read_voc
from resdet.errors import ConfigError
from resdet.evaluation.score import score_voc_files
from resdet.evaluation.voc_files import write_voc_results


@pytest.fixture
def root(tiny_coco, tmp_path: Path) -> Path:
    """A VOC folder of two classes."""
    convert_dataset(read_coco(tiny_coco.images, tiny_coco.annotations), "voc", tmp_path / "voc", "val", copy_images=False)
    return tmp_path / "voc"


def found_exactly(root: Path, folder: Path, without: str) -> list[Path]:
    """Results files that hold each object as it is annotated, but for those of one class."""
    dataset = read_voc(root, "val")
    classes = dict(zip(dataset.category_ids, dataset.names, strict=True))
    rows = [row for row in dataset.ground_truth()["annotations"] if classes[row["category_id"]] != without]
    columns = {key: np.array([row[key] for row in rows]) for key in ("image_id", "category_id", "bbox")}
    return write_voc_results(folder, "val", {**columns, "score": np.full(len(rows), 0.5)}, image_names(dataset), classes)


@pytest.mark.parametrize("metric", ["voc07", "voc10"])
def test_a_class_that_is_found_has_an_ap_of_1_and_the_other_0(root: Path, tmp_path: Path, metric: str) -> None:
    files = found_exactly(root, tmp_path / "found", without="box")
    for paths in ([tmp_path / "found"], files):
        assert score_voc_files(root, "val", paths, metric)["voc"]["per_class"] == {"box": 0.0, "disk": 1.0}


def test_the_image_set_must_be_a_list_of_the_folder(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--split must name a list of .*voc/ImageSets/Main, got 'vla' \(did you mean 'val'\?\)"
    ):
        score_voc_files(root, "vla", [tmp_path], "voc07")
    with pytest.raises(ConfigError, match="metric 'voc08': no such one"):
        score_voc_files(root, "val", [tmp_path], "voc08")


def test_at_any_iou(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boxes of four fifths of the width overlap by 0.8: right up to there, wrong above."""
    dataset = read_voc(root, "val")
    rows = dataset.ground_truth()["annotations"]
    boxes = [[x, y, 0.8 * width, height] for x, y, width, height in (row["bbox"] for row in rows)]
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    truth.write_text(json.dumps(dataset.ground_truth()))
    detected = [
        {"image_id": row["image_id"], "category_id": row["category_id"], "bbox": box, "score": 0.5}
        for row, box in zip(rows, boxes, strict=True)
    ]
    found.write_text(json.dumps(detected))
    given = ["eval", "--ground-truth", str(truth), "--detections", str(found), "--metric", "voc10"]
    for iou, expected in (("0.79", 1.0), ("0.81", 0.0)):
        assert main([*given, "--iou", iou]) == 0
        voc = json.loads((tmp_path / "eval" / "metrics.json").read_text())["voc"]
        assert (voc["iou"], set(voc["per_class"].values())) == (float(iou), {expected})
        assert f"mAP at IoU >= {iou}" in capsys.readouterr().out
    for wrong, problem in (
        ([*given[:-1], "coco", "--iou", "0.7"], "--iou goes with --metric voc07 or voc10"),
        ([*given, "--iou", "1.5"], "'iou' must be in (0, 1], got 1.5"),
        (["eval", "--config", "coco_r50", "--iou", "0.5"], "--ground-truth and --detections go together"),
    ):
        assert main(wrong) == 2
        assert problem in capsys.readouterr().err
