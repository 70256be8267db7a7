"""Which weights show what they want, which are doubted, and which contradict what is asked for. No real data needed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from resdet.cli import main
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.source import find_source
from resdet.models.build import build_backbone, build_classifier, build_detector, create_model
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

State = dict[str, Tensor]


def folded_state(name: str = "resnet50") -> State:
    """Weights whose statistics are mean 0 and variance 1: folded, or never there."""
    torch.manual_seed(3)
    return create_backbone(name, width=4, num_classes=3).state_dict()


def with_statistics(state: State, pixels: PixelConvention) -> State:
    """The state with conv1's true statistics on smooth pictures, as training under ``pixels`` leaves them."""
    small = torch.rand(16, 1, 8, 8) + 0.3 * torch.rand(16, 3, 8, 8)
    images = torch.nn.functional.interpolate(small, size=128, mode="bilinear")
    images = ((images - images.min()) / (images.max() - images.min()) * 255).to(torch.uint8)
    response = torch.nn.functional.conv2d(pixels.normalize(images), state["conv1.weight"], stride=2, padding=3)
    return {**state, "bn1.running_mean": response.mean((0, 2, 3)), "bn1.running_var": response.var((0, 2, 3))}


def backbone(path: Path, name: str = "resnet50", **options: Any) -> BackboneConfig:
    return BackboneConfig(name, str(path), width=4, **options)


def said(config: BackboneConfig) -> list[str]:
    """What is warned of while the weights of a config are loaded into a classifier."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build_backbone(config, 3)
    return [str(warning.message) for warning in caught]


def saved(path: Path, state: State, card: dict[str, Any] | None = None) -> Path:
    if card is None:
        torch.save(state, path)
    else:
        save_file(state, path, {"resdet": json.dumps(card)})
    return path


# --------------------------------------------------------------------------------------------------------------- sources

NAMES = [
    ("resnet50-0676ba61.pth", "torchvision"),
    ("resnet18-5c106cde.pth", "torchvision"),
    ("resnet152-f82ba261.pth", "torchvision"),
    ("copy_of_resnet101-cd907fc2.folded.pth", "torchvision"),
    ("resnet50_caffe-788b5fa3.pth", "msra"),
    ("resnet101_msra-6cc46731.pth", "msra"),
    ("ResNet152_Caffe.pth", "msra"),
    ("resnet50_msra_bgr.fp16.pth", "msra"),
    ("resnet50.pth", None),
    ("resnet50-12345678.pth", None),
    ("resnet18-0676ba61.pth", None),  # the hash of another network
    ("resnet50-0676ba61f.pth", None),
    ("resnet50_caffeine.pth", None),
    ("resnet18_caffe.pth", None),  # the authors have none
    ("model_best.pth.tar", None),
]


@pytest.mark.parametrize(("name", "source"), NAMES, ids=lambda value: str(value))
def test_a_published_file_is_known_by_its_name_where_it_has_no_statistics(name: str, source: str | None) -> None:
    found = find_source(WeightsFile(Path(name), folded_state(), None))
    assert (found and found.name) == source
    if found:
        assert found.scale is None
        assert found.stride_in_1x1 == (source == "msra")


@pytest.mark.parametrize("pixels", ["torchvision", "msra"])
def test_statistics_weigh_more_than_a_name(pixels: str) -> None:
    state = with_statistics(folded_state(), PIXEL_CONVENTIONS[pixels])
    for name in ("resnet50-0676ba61.pth", "resnet50_caffe.pth", "mine.pth"):
        found = find_source(WeightsFile(Path(name), state, None))
        assert found is not None
        assert found.name == pixels


# -------------------------------------------------------------------------------------------------------------- warnings

CARD = {
    "task": "classification",
    "architecture": {"backbone": {"name": "resnet50", "width": 4, "stride_in_1x1": True}},
    "names": ["a", "b", "c"],
    "pixels": PIXEL_CONVENTIONS["torchvision"].to_dict(),
    "test": {},
}


@pytest.mark.parametrize(
    ("name", "statistics", "options", "warned"),
    [
        ("bare.pth", None, {}, True),
        ("bare.pth", None, {"stride_in_1x1": True}, True),
        ("bare.pth", None, {"pixels": "msra", "stride_in_1x1": True}, True),
        ("resnet50-0676ba61.pth", None, {}, False),
        ("resnet50_caffe.pth", None, {"pixels": "msra", "stride_in_1x1": True}, False),
        ("bare.pth", "torchvision", {}, False),
        ("bare.pth", "msra", {"pixels": "msra", "stride_in_1x1": True}, False),
    ],
)
def test_only_weights_that_show_nothing_are_doubted(
    tmp_path: Path, name: str, statistics: str | None, options: dict[str, Any], warned: bool
) -> None:
    state = folded_state()
    if statistics:
        state = with_statistics(state, PIXEL_CONVENTIONS[statistics])
    path = saved(tmp_path / name, state)
    messages = said(backbone(path, **options))
    assert len(messages) == warned
    if warned:
        assert str(path) in messages[0]


def test_a_card_is_not_doubted(tmp_path: Path) -> None:
    path = saved(tmp_path / "ours.safetensors", folded_state(), CARD)
    assert said(backbone(path, stride_in_1x1=True)) == []
    bare = tmp_path / "bare.safetensors"
    save_file(folded_state(), bare)
    assert len(said(backbone(bare, stride_in_1x1=True))) == 1


@pytest.mark.parametrize(
    ("network", "options", "words", "unsaid"),
    [
        ("resnet50", {}, ["pixels torchvision, the default (RGB 0 … 1, mean 0.485", "stride in the 3x3", "--stride"], []),
        ("resnet50", {"pixels": "torchvision"}, ["pixels torchvision (RGB 0 … 1, mean 0.485"], ["the default"]),
        ("resnet50", {"pixels": "msra"}, ["pixels msra (BGR 0 … 255, mean 103.939, 116.779, 123.68, std 1"], ["RGB"]),
        ("resnet50", {"stride_in_1x1": True}, ["stride in the 1x1 (model.backbone.stride_in_1x1=true)"], ["in the 3x3"]),
        ("resnet18", {}, ["pixels torchvision, the default"], ["stride"]),
        ("cifar_resnet20", {}, ["pixels torchvision, the default"], ["stride"]),
        ("cifar_preact_bottleneck29", {}, ["stride in the 3x3"], []),
    ],
)
def test_the_warning_names_what_was_taken_and_what_measures_it(
    tmp_path: Path, network: str, options: dict[str, Any], words: list[str], unsaid: list[str]
) -> None:
    path = saved(tmp_path / "bare.pth", folded_state(network))
    (message,) = said(backbone(path, network, **options))
    for word in [*words, f"`resdet info --weights {path} --images DIR`", f"`resdet convert {path} "]:
        assert word in message
    assert not any(word in message for word in unsaid)
    assert "\n" not in message


def test_every_way_in_says_it_once(tmp_path: Path) -> None:
    """A detector says of the same weights, in one warning, that its frozen BN has no statistics."""
    path = saved(tmp_path / "bare.pth", folded_state())
    ways = {
        "classifier": lambda: build_classifier(ClassifierConfig(backbone(path)), ["a", "b", "c"]),
        "detector": lambda: build_detector(DetectorConfig(backbone(path)), ["a"]),
    }
    wide = tmp_path / "wide.pth"
    torch.save(create_backbone("resnet18", num_classes=3).state_dict(), wide)
    ways["create_model"] = lambda: create_model("resnet18", num_classes=3, weights=str(wide))
    for way, build in ways.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            build()
        (message,) = [str(warning.message) for warning in caught]
        assert "shows what these weights want" in message, way
        assert ("frozen BN has mean 0 and variance 1 in every layer" in message) == (way == "detector")


# ---------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "options", "fixes"),
    [
        ("resnet50-0676ba61.pth", {"stride_in_1x1": True}, ["model.backbone.stride_in_1x1=false"]),
        ("resnet50-0676ba61.pth", {"pixels": "msra"}, ["model.backbone.pixels=torchvision"]),
        ("resnet50_caffe.pth", {"stride_in_1x1": True}, ["model.backbone.pixels=msra"]),
        ("resnet50_caffe.pth", {"pixels": "msra"}, ["model.backbone.stride_in_1x1=true"]),
        ("resnet50_caffe.pth", {}, ["model.backbone.pixels=msra", "model.backbone.stride_in_1x1=true"]),
    ],
)
def test_a_published_name_must_agree_with_what_is_asked(
    tmp_path: Path, name: str, options: dict[str, Any], fixes: list[str]
) -> None:
    path = saved(tmp_path / name, folded_state())
    with pytest.raises(ConfigError) as caught:
        build_backbone(backbone(path, **options), 3)
    assert len(caught.value.problems) == len(fixes)
    for problem, fix in zip(caught.value.problems, fixes, strict=True):
        assert "its name is that of " in problem
        assert problem.endswith(f"set {fix}")


def test_a_basic_block_s_stride_is_nobody_s_business(tmp_path: Path) -> None:
    path = saved(tmp_path / "resnet18-5c106cde.pth", folded_state("resnet18"))
    assert said(backbone(path, "resnet18", stride_in_1x1=True)) == []


# --------------------------------------------------------------------------------------------------------------- convert


@pytest.mark.parametrize(
    ("options", "assumed"),
    [
        ([], ["pixels RGB 0 … 1", "stride in the 3x3"]),
        (["--pixels", "msra"], ["stride in the 1x1"]),
        (["--stride", "1x1"], ["pixels RGB 0 … 1"]),
        (["--pixels", "torchvision", "--stride", "3x3"], []),
    ],
)
def test_a_conversion_says_what_its_card_assumes(
    tmp_path: Path, options: list[str], assumed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "bare.pth", folded_state())
    assert main(["convert", str(path), str(tmp_path / "out.safetensors"), *options]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(warned) == bool(assumed)
    for word in assumed:
        assert word in warned[0]
    if assumed:
        assert f"`resdet info --weights {path} --images DIR`" in warned[0]


def test_a_conversion_of_the_authors_weights_by_name_wants_to_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "resnet50_caffe-788b5fa3.pth", folded_state())
    assert main(["convert", str(path), str(tmp_path / "out.safetensors")]) == 2
    assert "its name is that of the authors' weights under torchvision's names" in capsys.readouterr().err
    assert main(["convert", str(path), str(tmp_path / "out.safetensors"), "--pixels", "msra", "--stride", "1x1"]) == 0
    assert "warning" not in capsys.readouterr().err
