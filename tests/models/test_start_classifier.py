"""The classifier that training begins with: which ``fc`` of pretrained weights is kept, and what is said of the others."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from tiny_classifiers import CONFIG, NAMES, tiny_classifier, written

from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.models.build import build_classifier, start_classifier
from resdet.models.classifier import Classifier

pytestmark = pytest.mark.filterwarnings("ignore:.*shows what these weights want")
OTHERS = ("fox", "gnu", "hen")
WNIDS = tuple(f"n{number:08}" for number in range(1000))


def foreign(path: Path, outputs: int) -> tuple[Path, Classifier]:
    """A file without a card, and its network."""
    torch.manual_seed(1)
    model = build_classifier(CONFIG, [str(number) for number in range(outputs)])
    torch.save(model.backbone.state_dict(), path)
    return path, model


def started(path: Path, names: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> tuple[Classifier, list[str]]:
    """The classifier, and what was said of its head."""
    with caplog.at_level(logging.INFO, "resdet"):
        torch.manual_seed(2)
        model = start_classifier(ClassifierConfig(BackboneConfig("resnet18", str(path), width=4)), names)
    return model, [text.removeprefix(f"{path}: ") for logger, _, text in caplog.record_tuples if logger.endswith("start")]


def same_head(model: Classifier, other: Classifier) -> bool:
    return torch.equal(model.backbone.fc.weight, other.backbone.fc.weight)


def test_the_same_classes_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, said = started(written(tmp_path / "model.safetensors"), NAMES, caplog)
    assert same_head(model, tiny_classifier())
    assert said == []


@pytest.mark.parametrize("names", [OTHERS, NAMES[::-1], NAMES[:2]])
def test_other_classes_start_anew(names: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, said = started(written(tmp_path / "model.safetensors"), names, caplog)
    before = tiny_classifier()
    assert not torch.equal(model.backbone.fc.weight, before.backbone.fc.weight[: len(names)])
    assert model.backbone.fc.weight.std() > 0
    assert not model.backbone.fc.bias.any()
    assert torch.equal(model.backbone.conv1.weight, before.backbone.conv1.weight)
    assert said == [f"its classifier is for 3 other classes: that of the {len(names)} here starts anew"]


def test_imagenets_classifier_is_for_imagenets_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, before = foreign(tmp_path / "weights.pth", 1000)
    model, said = started(path, WNIDS, caplog)
    assert (same_head(model, before), said) == (True, [])
    model, said = started(path, (*WNIDS[:-1], "cat"), caplog)
    assert not same_head(model, before)
    assert said == ["its classifier is for 1000 other classes: that of the 1000 here starts anew"]


def test_of_a_file_that_says_nothing_as_many_classes_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, before = foreign(tmp_path / "weights.pth", 3)
    model, said = started(path, OTHERS, caplog)
    assert (same_head(model, before), said) == (True, [])


def test_a_backbone_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, before = foreign(tmp_path / "weights.pth", 3)
    torch.save({key: value for key, value in before.backbone.state_dict().items() if not key.startswith("fc.")}, path)
    model, said = started(path, OTHERS, caplog)
    assert not same_head(model, before)
    assert said == ["has no classifier: that of the 3 classes starts anew"]


@pytest.mark.parametrize("outputs", [3, 5])
def test_a_random_head_is_that_of_the_seed(outputs: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the classes differ in number, the random start is what it is without weights."""
    path, _ = foreign(tmp_path / "weights.pth", outputs)
    model, _ = started(path, NAMES[:2], caplog)
    torch.manual_seed(2)
    assert same_head(model, build_classifier(CONFIG, NAMES[:2]))
