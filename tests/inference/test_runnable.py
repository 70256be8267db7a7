"""Networks are taken out of what torch wraps around them; other kinds and number formats are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from tiny_classifiers import tiny_classifier
from tiny_detectors import picture, same, tiny_detector
from tiny_localizers import tiny_rpn
from torch import nn
from torch.optim.swa_utils import AveragedModel

from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.localizer import Localizer
from resdet.inference.localizer_views import LocalizerViews

PHOTO = picture(3, 60, 80)
FLOAT64 = r"a network must be in float32, this one is in float64: network\.float\(\)"


def detector(network: Any) -> Detector:
    return Detector(network, short_side=64, max_side=96)


def localizer(network: Any) -> Localizer:
    return Localizer(network, views=LocalizerViews("center", [64], 48), proposals=1, nms_thresh=0.5, vote_iou=0.5)


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel, AveragedModel])
def test_wrapped_networks_predict_what_they_hold(wrap: Callable[[nn.Module], Any]) -> None:
    found = detector(wrap(tiny_detector(1))).predict(PHOTO)
    assert len(found) > 3
    assert same(found, detector(tiny_detector(1)).predict(PHOTO))
    classified = [
        ImageClassifier(each, short_side=40, crop=32).predict(PHOTO) for each in (tiny_classifier(), wrap(tiny_classifier()))
    ]
    assert classified[0] == classified[1]
    first, second = (localizer(each).predict(PHOTO, [tiny_rpn().names[0]]) for each in (tiny_rpn(), wrap(tiny_rpn())))
    assert same(first, second)


def test_another_number_format_is_told_and_a_prepared_one_is_not() -> None:
    with pytest.raises(ConfigError, match=FLOAT64):
        detector(tiny_detector(1).double())
    with pytest.raises(ConfigError, match=FLOAT64):
        ImageClassifier(tiny_classifier().double(), short_side=40, crop=32)
    with pytest.raises(ConfigError, match=FLOAT64):
        localizer(tiny_rpn().double())
    detector(tiny_detector(1).prepare(torch.bfloat16)).predict(PHOTO)


def test_a_network_of_another_toolkit_is_told() -> None:
    with pytest.raises(ConfigError, match=r"a network must have 'names', .*, got torchvision\.models\.resnet\.ResNet"):
        ImageClassifier(torchvision.models.resnet18(), short_side=40, crop=32)  # type: ignore[arg-type]
