"""The networks and images that are measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from resdet.analysis.subjects import first_training_batches, load_network, saved_networks, spread_test_batches
from resdet.config.schema import (
    BackboneConfig,
    ClassificationDataConfig,
    ClassificationRunConfig,
    ClassificationSourceConfig,
    ClassifierConfig,
    RunConfig,
)
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS

CLASSES = [f"class{number}" for number in range(10)]
CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path: Path) -> ClassificationRunConfig:
    """Two images of each of ten classes, sorted by class."""
    for name in CLASSES:
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (32, 32), (10 * number, 0, 0)).save(tmp_path / "data" / name / f"{number}.png")
    source = ClassificationSourceConfig("folder", str(tmp_path / "data"))
    data = ClassificationDataConfig(train=source, val=source, crop=32, short_side=[], test_short_side=0, workers=0)
    return ClassificationRunConfig(
        model=ClassifierConfig(BackboneConfig("cifar_resnet8", width=4)), data=data, run=RunConfig(batch=8)
    )


@pytest.fixture
def model() -> Classifier:
    return Classifier(create_backbone("cifar_resnet8", width=4), PIXEL_CONVENTIONS["torchvision"], CLASSES)


def write_weights(folder: Path, name: str) -> str:
    torch.save(create_backbone(name, num_classes=10, width=4).state_dict(), folder / f"{name}.pth")
    return str(folder / f"{name}.pth")


def test_test_images_are_spread_over_a_sorted_set(config: ClassificationRunConfig, model: Classifier) -> None:
    seen = [torch.cat([batch.labels for batch in spread_test_batches(config, model, images)]) for images in (10, 0, 99)]
    assert seen[0].tolist() == list(range(10))
    assert seen[1].tolist() == seen[2].tolist() == sorted([*range(10), *range(10)])


def test_training_batches_are_as_many_as_asked_for(config: ClassificationRunConfig, model: Classifier) -> None:
    assert [len(batch.labels) for batch in first_training_batches(config, model, 3)] == [8, 8, 8]


def test_weights_are_called_by_their_networks_or_else_by_their_files(config: ClassificationRunConfig, tmp_path: Path) -> None:
    files = [write_weights(tmp_path, name) for name in ("cifar_resnet8", "cifar_resnet14")]
    found = saved_networks(config, files, ["cifar_resnet8", "cifar_resnet14"], CPU)
    assert [name for name, _ in found] == ["cifar_resnet8", "cifar_resnet14"]
    assert [model.backbone.spec.name for _, model in found] == ["cifar_resnet8", "cifar_resnet14"]
    again = [files[0], str(tmp_path / "copy.pth")]
    (tmp_path / "copy.pth").write_bytes((tmp_path / "cifar_resnet8.pth").read_bytes())
    assert [name for name, _ in saved_networks(config, again, [], CPU)] == again


def test_weights_are_of_the_config_s_network_unless_another_is_named(config: ClassificationRunConfig, tmp_path: Path) -> None:
    file = write_weights(tmp_path, "cifar_resnet14")
    assert load_network(config, file, "cifar_resnet14").names == tuple(CLASSES)
    with pytest.raises(ConfigError, match=r"cifar_resnet14\.pth"):
        load_network(config, file)
