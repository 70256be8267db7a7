from __future__ import annotations

import json

import pytest
import torch

from resdet.errors import ConfigError, DataError
from resdet.evaluation import CocoEvaluator, Evaluator, TopK, score_detections
from resdet.report import write_detections
from resdet.structures import Detections

NAMES = ("box", "disk")


def detections(image_id, *rows):
    """Detections from (box, score, label) rows."""
    return Detections(
        boxes=torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor([row[1] for row in rows], dtype=torch.float32),
        labels=torch.tensor([row[2] for row in rows], dtype=torch.int64),
        size=(48, 64),
        image_id=image_id,
    )


@pytest.fixture
def truth(tiny_coco):
    return tiny_coco.read()


def perfect(truth):
    """Detections that are the ground truth."""
    for image in truth["images"]:
        rows = [row for row in truth["annotations"] if row["image_id"] == image["id"] and not row["iscrowd"]]
        yield detections(
            image["id"],
            *[
                ([row["bbox"][0], row["bbox"][1], row["bbox"][0] + row["bbox"][2], row["bbox"][1] + row["bbox"][3]], 0.9, label)
                for row in rows
                for label in [{1: 0, 7: 1}[row["category_id"]]]
            ],
        )


def test_perfect_detections_by_several_metrics(truth):
    evaluator = CocoEvaluator(truth, (1, 7), NAMES, metrics=("coco", "voc07"))
    for item in perfect(truth):
        evaluator.process([item])
    found = evaluator.evaluate()
    assert found["bbox"]["AP"] == pytest.approx(1)
    assert found["voc"]["mAP"] == 1
    assert list(found["per_class"]) == ["box", "disk"]
    assert set(found["meta"]) == {"coco", "voc07"}
    evaluator.reset()
    with pytest.warns(UserWarning, match="6 of 6 images were never processed"):
        assert evaluator.evaluate()["bbox"]["AP"] == 0


def test_saved_results_score_exactly_as_the_memory(truth, tmp_path):
    generator = torch.Generator().manual_seed(0)
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    for item in perfect(truth):
        noise = torch.rand(item.boxes.shape, generator=generator) * torch.tensor([1, 1, 5, 5])
        evaluator.process(
            [
                Detections(
                    item.boxes + noise, torch.rand(len(item), generator=generator), item.labels, item.size, (), item.image_id
                )
            ]
        )
    saved = json.loads(write_detections(tmp_path, evaluator.results()).read_text())
    assert score_detections(truth, saved) == evaluator.evaluate()
    assert 0 < evaluator.evaluate()["bbox"]["AP"] < 1


def test_results_are_those_of_detections_to_coco(truth, tmp_path):
    item = detections(3, ([1.1, 2.2, 30.3, 40.7], 0.3, 1), ([0, 0, 5, 5], 0.1, 0))
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    evaluator.process([item])
    assert json.loads(write_detections(tmp_path, evaluator.results()).read_text()) == item.to_coco((1, 7))


def test_no_detections_at_all(truth):
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    evaluator.process(detections(row["id"]) for row in truth["images"])
    assert {key: value.shape for key, value in evaluator.results().items()} == {
        "image_id": (0,),
        "category_id": (0,),
        "bbox": (0, 4),
        "score": (0,),
    }
    assert evaluator.evaluate()["bbox"]["AP"] == 0


def test_classes_that_the_ground_truth_calls_otherwise(truth):
    with pytest.raises(DataError) as error:
        CocoEvaluator(truth, (7, 8), ("box", "disk"))
    assert error.value.problems == (
        "class 0 'box': the ground truth's category 7 is 'disk'",
        "class 1 'disk': the ground truth's category 8 is missing",
    )
    with pytest.raises(ValueError, match="got 1 and 2"):
        CocoEvaluator(truth, (1,), NAMES)


def test_wrong_detections(truth):
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    evaluator.process([detections(1)])
    with pytest.raises(ValueError, match="image 1 were processed before"):
        evaluator.process([detections(1)])
    with pytest.raises(DataError, match="image 99: the ground truth has no such image"):
        evaluator.process([detections(99)])
    with pytest.raises(ValueError, match="labels must be in 0 … 1, got 2 … 2"):
        evaluator.process([detections(2, ([0, 0, 1, 1], 0.5, 2))])
    evaluator.process([detections(3, ([0, 0, float("nan"), 1], 0.5, 1))])
    with pytest.warns(UserWarning, match="never processed"), pytest.raises(DataError, match="result 0: 'bbox' must be"):
        evaluator.evaluate()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (([9, 0, 5, 4], 0.5, 1), r"result 1: 'bbox' must be .* got \[9.0, 0.0, -4.0, 4.0\]"),
        (([0, 0, 1e16, 4], 0.5, 1), "result 1: 'bbox' must be"),
        (([0, 0, 5, 4], float("inf"), 1), "result 1: 'score' must be a finite number, got inf"),
        (([0, 0, 5, 4], float("nan"), 1), "result 1: 'score' must be a finite number, got nan"),
    ],
)
@pytest.mark.filterwarnings("ignore:5 of 6 images were never processed")
def test_numbers_that_no_detection_has(truth, row, problem):
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    evaluator.process([detections(3, ([0, 0, 1, 1], 0.5, 1), row)])
    with pytest.raises(DataError, match=problem):
        evaluator.evaluate()


def test_what_was_processed_is_kept_when_its_tensors_change(truth):
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    item = detections(3, ([1, 2, 3, 5], 0.5, 1))
    evaluator.process([item])
    item.boxes.zero_()
    item.scores.zero_()
    item.labels.zero_()
    assert evaluator.results()["bbox"].tolist() == [[1, 2, 2, 3]]
    assert evaluator.results()["score"].tolist() == [0.5]
    assert evaluator.results()["category_id"].tolist() == [7]


def test_classes_of_one_name(truth):
    truth["categories"] = [{"id": 1, "name": "crane"}, {"id": 7, "name": "crane"}]
    evaluator = CocoEvaluator(truth, (7, 1), ("crane", "crane"))
    evaluator.process(detections(row["id"]) for row in truth["images"])
    assert list(evaluator.evaluate()["per_class"]) == ["crane [1]", "crane [7]"]


def test_metrics_are_checked(truth):
    with pytest.raises(ConfigError, match=r"metric 'cocoo': no such one \(did you mean 'coco'\?\)"):
        score_detections(truth, [], ["cocoo"])
    for metrics in ([], ["voc07", "voc10"]):
        with pytest.raises(ConfigError, match="need at least one, and at most one of voc07, voc10"):
            score_detections(truth, [], metrics)


def test_both_are_evaluators(truth):
    evaluators: list[Evaluator] = [CocoEvaluator(truth, (1, 7), NAMES), TopK(NAMES)]
    assert all(hasattr(item, name) for item in evaluators for name in ("reset", "process", "evaluate"))
