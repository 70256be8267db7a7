"""Data sets that a few words describe."""

from __future__ import annotations

import pytest

from resdet.config.schema import ClassificationDataConfig, ClassificationSourceConfig, DetectionSourceConfig
from resdet.data.described import described_classification, described_detection, training_data
from resdet.errors import ConfigError


def test_the_words_are_the_options_of_a_source() -> None:
    assert described_detection("voc", "there", split="val", images="some.txt") == DetectionSourceConfig(
        "voc", "there", split="val", images="some.txt"
    )
    found = described_classification("imagenet", "there", annotations="a.csv", split="val")
    assert found == ClassificationSourceConfig("imagenet", "there", "val", "a.csv")
    assert described_classification("folder", "there") == ClassificationSourceConfig("folder", "there", "train")


def test_words_for_other_formats_are_refused_together() -> None:
    with pytest.raises(ConfigError) as caught:
        described_classification("folder", "there", annotations="a.json", split="val", images="x.txt")
    assert caught.value.problems == (
        "option 'data.split' is for the formats imagenet, shards, cifar10, cifar100, not folder; got 'val'",
        "option 'data.annotations' is for the formats list, imagenet, not folder; got 'a.json'",
        "--images is for detection sets, got --format folder",
    )
    with pytest.raises(ConfigError, match=r"'data\.split' is for the formats voc, yolo, imagenet_det, not coco; got 'val'"):
        described_detection("coco", "there", annotations="a.json", split="val")


def test_cifar_is_trained_on_as_it_is() -> None:
    small = training_data(described_classification("cifar100", "there"))
    assert (small.crop, small.short_side, small.test_short_side, small.train.format) == (32, [], 0, "cifar100")
    source = described_classification("folder", "there")
    assert training_data(source) == ClassificationDataConfig(train=source)
