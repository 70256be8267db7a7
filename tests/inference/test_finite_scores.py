"""A network whose scores are no numbers stops with the image's name: it does not find "nothing"."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_classifiers import tiny_classifier
from tiny_detectors import tiny_detector
from tiny_localizers import tiny_localizer

from resdet.cli import main
from resdet.data.own import own_classification_dataset
from resdet.errors import PredictionError
from resdet.inference.classifier import ImageClassifier, classify_dataset
from resdet.inference.detector import Detector
from resdet.inference.localizer import Localizer
from resdet.inference.localizer_views import LocalizerViews
from resdet.inference.save import save
from resdet.inference.views import Views

HUGE = 3e38  # finite: such weights are no NaN until something is computed with them


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for seed, path in enumerate(paths):
        noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return paths


@pytest.mark.parametrize(
    ("part", "what"),
    [("rpn.head.objectness", "the RPN's scores"), ("roi_heads.predictor.cls_score", "the scores of regions")],
)
def test_a_detector_stops_at_scores_that_are_no_numbers(photos: list[Path], part: str, what: str) -> None:
    model = tiny_detector()
    model.get_submodule(part).weight.data.fill_(HUGE)
    detector = Detector(model, short_side=48, max_side=64)
    with pytest.raises(PredictionError) as caught:
        detector.predict(photos)
    assert str(caught.value) == f"{photos[0]}: {what} are NaN or infinite: the model's weights cannot be used"


def test_a_classifier_stops_at_scores_that_are_no_numbers(photos: list[Path]) -> None:
    model = tiny_classifier()
    model.backbone.fc.weight.data.fill_(HUGE)
    with pytest.raises(PredictionError, match=r"a\.png: the scores are NaN or infinite"):
        ImageClassifier(model, short_side=32, crop=32).predict(list(photos))
    black = (Image.new("RGB", (32, 32)), 0)
    dataset = own_classification_dataset([black, black, (Image.open(photos[0]).convert("RGB"), 1)], model.names)
    good = torch.zeros(3, 3)

    class Sometimes(torch.nn.Module):
        """Answers with NaN to all but black pictures."""

        def __init__(self) -> None:
            super().__init__()
            self.backbone = model.backbone

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            shown = pixels.float().flatten(1).std(1, keepdim=True)
            return torch.where(shown > 0, torch.nan, good[: len(pixels)])

    with pytest.raises(PredictionError, match=r"list\[2\]: the scores are NaN or infinite"):
        list(classify_dataset(Sometimes(), dataset, Views("center", (32,), 32)))  # type: ignore[arg-type]


def test_a_localizer_stops_at_scores_that_are_no_numbers(photos: list[Path]) -> None:
    rpn = tiny_localizer()
    for parameter in rpn.parameters():
        parameter.data.fill_(HUGE)
    localizer = Localizer(rpn, views=LocalizerViews("dense", (64,), 64), proposals=3, nms_thresh=0.5, vote_iou=0.0)
    with pytest.raises(PredictionError, match=r"a\.png: the RPN's scores are NaN or infinite"):
        localizer.predict(list(photos), [rpn.names[0]])


def test_predict_and_eval_fail_where_they_would_have_found_nothing(
    photos: list[Path], tiny_coco: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_detector(names=["box", "disk"])
    model.rpn.head.objectness.weight.data.fill_(HUGE)
    file = tmp_path / "absurd.safetensors"
    save(Detector(model, short_side=48, max_side=64), file)
    assert main(["predict", "--weights", str(file), *map(str, photos), "--output", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"error: {photos[0]}: the RPN's scores are NaN or infinite: the model's weights cannot be used"
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == []
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}  # type: ignore[attr-defined]
    values = {
        "task": "detection",
        "model": {"backbone": {"name": "resnet18", "width": 8}, "anchors": {"sizes": [16, 32]}},
        "data": {"train": [source], "val": source, "test_short_side": 48, "max_side": 64, "workers": 0},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    command = ["eval", "--config", str(tmp_path / "run.yaml"), "--weights", str(file), "--output", str(tmp_path / "eval")]
    assert main([*command, "--device", "cpu"]) == 1
    assert "000001.png: the RPN's scores are NaN or infinite" in capsys.readouterr().err
    assert not (tmp_path / "eval" / "metrics.json").exists()
