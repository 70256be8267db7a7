"""An evaluation is scored by any of its numbers."""

from __future__ import annotations

import math

import pytest

from resdet.engine.best import metric_score
from resdet.errors import ConfigError

METRICS = {
    "bbox": {"AP": 0.5, "APl": None},
    "per_class": {"cat": {"AP": 0.25}, "st. bernard": {"AP": 0.75}},
    "val_loss": {"loss": 2.0, "loss_rpn_cls": 0.5},
    "top1_error": 0.1,
    "nll": 1.5,
    "ece": 0.02,
    "meta": {"images": 3},
    "written": True,
}


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("bbox.AP", 0.5),
        ("per_class.st. bernard.AP", 0.75),
        ("val_loss.loss", -2.0),
        ("val_loss.loss_rpn_cls", -0.5),
        ("top1_error", -0.1),
        ("nll", -1.5),
        ("ece", -0.02),
    ],
)
def test_losses_and_errors_are_better_when_they_are_lower(name: str, score: float) -> None:
    assert metric_score(METRICS, name) == score


def test_a_number_without_a_value_is_never_the_best() -> None:
    assert math.isnan(metric_score(METRICS, "bbox.APl"))


@pytest.mark.parametrize(("name", "near"), [("bbox.AP5", "bbox.AP"), ("bbox", ""), ("meta.images", ""), ("written", "")])
def test_what_is_no_number_is_told_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"option 'run\.best' must be a number of metrics\.json, got '{name}'.*{near}"):
        metric_score(METRICS, name)
