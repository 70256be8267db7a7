from __future__ import annotations

import json

import pytest
import torch

from resdet.errors import ConfigError, DataError
from resdet.evaluation import CocoEvaluator, Evaluator, TopK, score_detections
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


def test_saved_results_score_exactly_as_the_memory(truth):
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
    saved = json.loads(json.dumps(evaluator.results()))
    assert score_detections(truth, saved) == evaluator.evaluate()
    assert 0 < evaluator.evaluate()["bbox"]["AP"] < 1


def test_results_are_those_of_detections_to_coco(truth):
    item = detections(3, ([1.1, 2.2, 30.3, 40.7], 0.3, 1), ([0, 0, 5, 5], 0.1, 0))
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    evaluator.process([item])
    assert evaluator.results() == item.to_coco((1, 7))


def test_no_detections_at_all(truth):
    evaluator = CocoEvaluator(truth, (1, 7), NAMES)
    evaluator.process(detections(row["id"]) for row in truth["images"])
    assert evaluator.results() == []
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


def test_metrics_are_checked(truth):
    with pytest.raises(ConfigError, match=r"metric 'cocoo': no such one \(did you mean 'coco'\?\)"):
        score_detections(truth, [], ["cocoo"])
    for metrics in ([], ["voc07", "voc10"]):
        with pytest.raises(ConfigError, match="need at least one, and at most one of voc07, voc10"):
            score_detections(truth, [], metrics)


def test_both_are_evaluators(truth):
    evaluators: list[Evaluator] = [CocoEvaluator(truth, (1, 7), NAMES), TopK(NAMES)]
    assert all(hasattr(item, name) for item in evaluators for name in ("reset", "process", "evaluate"))
