"""Evaluation on a VOC set leaves results files, and scoring these files gives the numbers of the evaluation itself."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.cli import main
from resdet.config.schema import DetectionDataConfig, DetectionSourceConfig, DetectionTestConfig
from resdet.data.formats.voc import read_voc
from resdet.report.tables import metrics_table
from resdet.structures import Detections
from resdet.training.detection.evaluation import DetectorEvaluation


def test_results_files_beside_the_detections(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "voc2012_mini" / "VOC2012"
    source = DetectionSourceConfig("voc", str(root), split="val")
    dataset = read_voc(root, "val")
    evaluation = DetectorEvaluation(
        DetectionDataConfig(val=source, metric="voc07", workers=0), dataset.names, DetectionTestConfig()
    )
    rng = np.random.default_rng(0)
    for index in range(len(dataset)):
        target = dataset.target(index)
        boxes = target.boxes + torch.from_numpy(rng.normal(0, 8, (len(target), 4))).float()
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2])
        scores = torch.from_numpy(rng.random(len(target))).float()
        evaluation.evaluator.process([Detections(boxes, scores, target.labels, target.size, dataset.names, target.image_id)])
    evaluation.metrics = evaluation.evaluator.evaluate()
    results = evaluation.write(SimpleNamespace(names=dataset.names), tmp_path / "eval")  # type: ignore[arg-type]
    written = results.metrics
    files = sorted(path.name for path in (tmp_path / "eval" / "voc").iterdir())
    assert files == [f"comp4_det_val_{name}.txt" for name in sorted(dataset.names)]
    assert tmp_path / "eval" / "voc" in results.files
    for metric in ("voc07", "voc10", "coco"):
        arguments = ["eval", "--ground-truth", str(root), "--split", "val", "--detections", str(tmp_path / "eval" / "voc")]
        assert main([*arguments, "--metric", metric, "--output", str(tmp_path / metric)]) == 0
    scored = {metric: json.loads((tmp_path / metric / "metrics.json").read_text()) for metric in ("voc07", "voc10", "coco")}
    assert 0.3 < scored["voc07"]["voc"]["mAP"] < 0.99
    assert scored["voc07"]["voc"]["per_class"] == pytest.approx(written["voc"]["per_class"], rel=0, abs=1e-12)
    assert scored["coco"]["bbox"] == pytest.approx(written["bbox"], rel=0, abs=1e-12)
    assert scored["voc10"]["voc"]["mAP"] != scored["voc07"]["voc"]["mAP"]


@pytest.mark.parametrize("metric", ["coco", "voc10"])
def test_a_test_set_whose_objects_are_not_published_gives_files_for_the_server(tmp_path: Path, metric: str) -> None:
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("one\ntwo\n")
    for name in ("one", "two"):
        Image.new("RGB", (20, 10)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
    source = DetectionSourceConfig("voc", str(tmp_path), split="test")
    with pytest.warns(UserWarning, match="no image of it has an xml"):
        evaluation = DetectorEvaluation(
            DetectionDataConfig(val=source, metric=metric, workers=0), ["cat", "dog"], DetectionTestConfig()
        )
    boxes, scores, labels = torch.tensor([[1.0, 2.0, 11.0, 8.0]]), torch.tensor([0.75]), torch.tensor([1])
    nothing = Detections(boxes[:0], scores[:0], labels[:0], (10, 20), ("cat", "dog"), 1)
    evaluation.evaluator.process([nothing, Detections(boxes, scores, labels, (10, 20), ("cat", "dog"), 2)])
    evaluation.metrics = evaluation.evaluator.evaluate()
    results = evaluation.write(SimpleNamespace(names=("cat", "dog")), tmp_path / "eval")  # type: ignore[arg-type]
    written = results.metrics
    assert written["bbox"]["AP"] is None
    files = tmp_path / "eval" / "voc"
    assert (files / "comp4_det_test_cat.txt").read_text() == ""
    assert (files / "comp4_det_test_dog.txt").read_text().split() == ["two", "0.75", "2.0", "3.0", "11.0", "8.0"]
    (row,) = json.loads((tmp_path / "eval" / "detections.json").read_text())
    assert row == {"image_id": 2, "category_id": 2, "bbox": [1, 2, 10, 6], "score": 0.75}
    assert "-1.000" in metrics_table(written)
