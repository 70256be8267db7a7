from __future__ import annotations

import contextlib
import copy
import io
import json

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from resdet.evaluation import TopK, evaluate_coco, evaluate_voc
from resdet.report import metrics_table, write_detections, write_metrics
from resdet.report.tables import coco_summary

RESULTS = [
    {"image_id": 1, "category_id": 1, "bbox": [5, 6, 16, 18], "score": 0.9},
    {"image_id": 2, "category_id": 7, "bbox": [28, 20, 16, 16], "score": 0.8},
]


def columns(rows):
    """COCO results as the columns that are written."""
    table = {key: np.array([row[key] for row in rows]) for key in ("image_id", "category_id", "bbox", "score")}
    return table | {"bbox": table["bbox"].reshape(-1, 4)}


def test_the_twelve_lines_are_those_of_the_official_tools(tiny_coco):
    content = tiny_coco.read()
    ours = coco_summary(evaluate_coco(content, RESULTS).to_dict()["bbox"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        data = COCO(str(tiny_coco.annotations))
        run = COCOeval(data, data.loadRes(copy.deepcopy(RESULTS)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert ours.splitlines() == printed.getvalue().splitlines()[-12:]


def test_a_detectors_table_has_the_classes(tiny_coco):
    content = tiny_coco.read()
    table = metrics_table(evaluate_coco(content, RESULTS).to_dict()).splitlines()
    assert [line.split()[0] for line in table[-2:]] == ["box", "disk"]
    content["categories"].append({"id": 8, "name": "never seen"})
    table = metrics_table(evaluate_coco(content, RESULTS).to_dict()).splitlines()
    assert table[-1].split() == ["never", "seen", "-", "-"]
    voc = metrics_table(evaluate_voc(content, RESULTS, "voc10").to_dict())
    assert voc.startswith("VOC10 mAP at IoU >= 0.5: 0.")
    assert voc.splitlines()[-1].split() == ["never", "seen", "-"]


def test_eighty_classes_stand_side_by_side_in_order():
    per_class = {f"class number {k}": {"AP": k / 100, "AP50": None} for k in range(80)}
    bbox = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"), 0.5)
    lines = metrics_table({"bbox": bbox, "per_class": per_class}).splitlines()[13:]
    assert len(lines) == 2 + 27
    assert max(map(len, lines)) <= 110
    assert lines[2].startswith("class number 0 ")
    assert lines[3].startswith("class number 1 ")
    assert lines[2].count("class number 27") == 1


def test_a_classifiers_table():
    counter = TopK([f"class {k}" for k in range(30)])
    counter.process(torch.eye(30), torch.arange(30).roll(1))
    table = metrics_table(counter.evaluate())
    assert table.startswith("top-1 error 100.00 %   top-5 error ")
    assert "worst 20 of 30 classes" in table
    assert metrics_table(TopK(["a"]).evaluate()) == "top-1 error -   top-5 error -"


def test_result_files(tmp_path, tiny_coco):
    metrics = evaluate_coco(tiny_coco.read(), RESULTS)
    path = write_metrics(tmp_path / "run", metrics.to_dict() | {"odd": (float("nan"), np.float64("inf"), 1)})
    assert path == tmp_path / "run" / "metrics.json"
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["odd"] == [None, None, 1]
    assert content["bbox"] == metrics.to_dict()["bbox"]  # not a digit lost
    path = write_detections(tmp_path / "run", columns(RESULTS))
    assert json.loads(path.read_text()) == RESULTS
    assert sorted(item.name for item in (tmp_path / "run").iterdir()) == ["detections.json", "metrics.json"]


@pytest.mark.parametrize("count", [0, 1, 9_999, 10_000, 20_001])
def test_detections_are_written_as_json_writes_them(tmp_path, count):
    rng = np.random.default_rng(count)
    results = {
        "image_id": np.arange(count),
        "category_id": rng.integers(1, 91, count),
        "bbox": rng.normal(0, 10.0 ** rng.integers(-12, 12, (count, 1)), (count, 4)),
        "score": rng.random(count).astype(np.float32).astype(np.float64),
    }
    rows = [dict(zip(results, row, strict=True)) for row in zip(*(value.tolist() for value in results.values()), strict=True)]
    assert write_detections(tmp_path, results).read_text() == json.dumps(rows) + "\n"


def test_detections_of_images_with_names_and_without_numbers(tmp_path):
    results = {"image_id": np.array(['a "b"']), "category_id": np.ones(1, int), "bbox": np.zeros((1, 4)), "score": np.ones(1)}
    assert json.loads(write_detections(tmp_path, results).read_text())[0]["image_id"] == 'a "b"'
    for key, value in (("score", np.array([np.nan])), ("bbox", np.full((1, 4), np.inf))):
        with pytest.raises(ValueError, match="finite numbers only"):
            write_detections(tmp_path / "none", results | {key: value})
    assert not (tmp_path / "none").exists()
