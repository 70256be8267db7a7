"""From configs and model files to localizers, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_localizers import NAMES, localizer_config, tiny_localizer, written

from resdet.config.localization import LocalizerTestConfig
from resdet.errors import ConfigError
from resdet.models.backbones.bn_statistics import recompute_bn_statistics
from resdet.models.backbones.registry import create_backbone
from resdet.models.build import build_localizer, load_localizer, load_model, start_localizer
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import ModelCard, write_model
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.structures import PIXEL_CONVENTIONS


@pytest.fixture
def backbone(tmp_path: Path) -> str:
    """Classifier weights with BN statistics, torchvision's keys."""
    torch.manual_seed(5)
    network = create_backbone("resnet18", num_classes=7, width=8)
    recompute_bn_statistics(network, [torch.randn(4, 3, 64, 64)])
    torch.save(network.state_dict(), tmp_path / "backbone.pth")
    return str(tmp_path / "backbone.pth")


@pytest.mark.parametrize("stage", ["rpn", "rcnn"])
def test_a_model_file_gives_the_same_network(tmp_path: Path, stage: str) -> None:
    model = tiny_localizer(stage=stage)
    found, config = load_localizer(written(tmp_path / "a.safetensors", model, stage=stage))
    assert type(found) is type(model)
    assert (found.names, found.pixels, config.stage) == (NAMES, model.pixels, stage)
    assert not found.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[key], tensor)


def test_a_config_gives_what_is_free_at_test_time(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_localizer())
    test = LocalizerTestConfig(views="center", short_sides=[64])
    assert load_localizer(path, replace(localizer_config(), test=test))[1].test == test


def test_both_networks_start_from_the_backbone_and_bn_is_frozen(backbone: str) -> None:
    config = localizer_config(stage="rcnn", backbone={"name": "resnet18", "width": 8, "weights": backbone}, freeze_at=1)
    model = build_localizer(config, NAMES)
    assert isinstance(model, RegionLocalizer)
    state = torch.load(backbone, weights_only=True)
    for body in (model.rpn.body, model.regions.body):
        assert torch.equal(body.state_dict()["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
        assert torch.equal(body.state_dict()["bn1.running_mean"], state["bn1.running_mean"])
        assert any(isinstance(part, FrozenBatchNorm2d) for part in body.modules())
    assert not model.regions.body.conv1.weight.requires_grad
    assert model.regions.body.layer1[0].conv1.weight.requires_grad


def test_unloaded_statistics_are_told() -> None:
    said = (
        r"^frozen BN has mean 0 and variance 1 in every layer \(no backbone weights are given\): right only where the "
        r"statistics were folded into scale and shift$"
    )
    with pytest.warns(UserWarning, match=said):
        build_localizer(localizer_config(), NAMES)


def test_the_second_stage_takes_over_the_trained_rpn(tmp_path: Path, backbone: str) -> None:
    rpn = tiny_localizer(seed=3)
    path = written(tmp_path / "rpn.safetensors", rpn)
    config = localizer_config(stage="rcnn", weights=str(path), backbone={"name": "resnet18", "width": 8, "weights": backbone})
    model = start_localizer(config, NAMES)
    assert isinstance(model, RegionLocalizer)
    for key, tensor in rpn.state_dict().items():
        assert torch.equal(model.rpn.state_dict()[key], tensor)
    state = torch.load(backbone, weights_only=True)
    assert torch.equal(model.regions.body.state_dict()["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize(
    ("changes", "names", "message"),
    [
        (
            {"anchors": {"sizes": [32], "ratios": [0.5, 1]}},
            NAMES,
            r"trained with 'model.anchors.sizes' \[32.0, 64.0\], the config",
        ),
        (
            {"backbone": {"name": "resnet34", "width": 8}},
            NAMES,
            r"trained with 'model.backbone.name' 'resnet18', the config says",
        ),
        ({}, ("cat", "dog"), r"its classes must be those of the data, cat, dog, got cat, dog, emu"),
        (
            {"backbone": {"name": "resnet18", "width": 8, "pixels": "msra"}},
            NAMES,
            r"was trained on pixels RGB 0 … 1, .*, 'model\.backbone\.pixels' msra is BGR 0 … 255, mean 103\.939, ",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:frozen BN")
def test_an_rpn_of_something_else(tmp_path: Path, changes: dict[str, Any], names: tuple[str, ...], message: str) -> None:
    path = written(tmp_path / "rpn.safetensors", tiny_localizer())
    with pytest.raises(ConfigError, match=message):
        start_localizer(localizer_config(stage="rcnn", weights=str(path), **changes), names)


def test_the_second_stage_does_not_start_from_a_second_stage(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_localizer(stage="rcnn"), stage="rcnn")
    with pytest.raises(ConfigError, match=r"a.safetensors: option 'model.weights' must name a localizer of stage rpn"):
        start_localizer(localizer_config(stage="rcnn", weights=str(path)), NAMES)


def test_a_stage_is_part_of_the_network(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_localizer())
    with pytest.raises(ConfigError, match=r"was trained with 'model.stage' 'rpn', the config says 'rcnn'"):
        load_localizer(path, localizer_config(stage="rcnn", weights="x"))


def test_a_config_of_other_pixels_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_localizer())
    for agreed in ("auto", "torchvision"):
        load_localizer(path, localizer_config(backbone={"name": "resnet18", "width": 8, "pixels": agreed}))
    with pytest.raises(
        ConfigError, match=r"was trained on pixels RGB 0 … 1, .*, 'model\.backbone\.pixels' msra is BGR 0 … 255"
    ):
        load_localizer(path, localizer_config(backbone={"name": "resnet18", "width": 8, "pixels": "msra"}))


def test_files_of_other_tasks(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_localizer())
    with pytest.raises(ConfigError, match=r"a.safetensors: holds a localizer, must be a detector or a classifier"):
        load_model(path)
    card = ModelCard("classification", {}, ["x"], PIXEL_CONVENTIONS["msra"].to_dict(), {})
    write_model(tmp_path / "b.safetensors", {"fc.weight": torch.zeros(1)}, card)
    with pytest.raises(ConfigError, match=r"b.safetensors: must be a localizer, holds a model of task 'classification'"):
        load_localizer(tmp_path / "b.safetensors")


def test_tensors_that_do_not_fit_the_card(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_localizer(), anchors={"sizes": [32], "ratios": [1]})
    with pytest.raises(ConfigError, match=r"its tensors do not fit its card"):
        load_localizer(path)
