"""Networks that look like a ResNet and are none of ours are refused by what differs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor
from zoo_state import zoo_state

from resdet.commands import convert
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone, list_backbones
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.report import describe_keys, stem_width
from resdet.models.convert import CONVENTIONS, SCHEMES, Conversion, convert_weights
from resdet.models.convert.variants import network_differences

State = dict[str, Tensor]


def _torchvision(name: str) -> State:
    with torch.device("meta"):
        return getattr(torchvision.models, name)().state_dict()


def _convert(state: State, scheme: str = "auto") -> Conversion:
    return convert_weights(WeightsFile(Path("weights.pkl"), state, None), scheme=scheme)


VARIANTS = ["resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", *VARIANTS])
def test_torchvisions_resnets_differ_in_nothing(name: str) -> None:
    state = _torchvision(name)
    assert network_differences(state) == []
    assert describe_keys(state) == name


@pytest.mark.parametrize("name", [name for name in list_backbones() if not name.startswith("cifar_plain")])
@pytest.mark.parametrize("width", [0, 32])
def test_every_network_is_recognized_at_any_width(name: str, width: int) -> None:
    with torch.device("meta"):
        state = create_backbone(name, width=width).state_dict()
    # a shortcut leaves no trace where it is an identity, and two families have the same bottlenecks
    alike = {"plain18": "resnet18", "plain34": "resnet34"} | {
        f"cifar_preact_resnet{depth}": f"cifar_preact_bottleneck{depth}" for depth in (164, 1001)
    }
    assert describe_keys(state) == alike.get(name, name)
    assert stem_width(state) == (width or (16 if name.startswith("cifar") else 64))


@pytest.mark.parametrize(
    ("name", "stages", "said"),
    [
        ("resnet18", (1, 2, 3), "a ResNet of basic blocks [2, 2, 2]"),  # not a CIFAR network: the stem is of 7x7
        ("resnet18", (2, 3, 4), "a ResNet of basic blocks with stages 2, 3, 4 alone"),
        ("resnet50", (1, 2, 4), "a ResNet of bottleneck blocks with stages 1, 2, 4 alone"),
        ("resnet50", (4,), "a ResNet of bottleneck blocks with stage 4 alone"),
        ("resnet50", (1, 2, 3), "a ResNet of bottleneck blocks [3, 4, 6]"),
    ],
)
def test_a_part_of_a_network_is_not_another_one(name: str, stages: tuple[int, ...], said: str) -> None:
    state = _torchvision(name)
    kept = {key: value for key, value in state.items() if not key.startswith("layer") or int(key[5]) in stages}
    assert describe_keys(kept) == said


def _deep_stem(state: State) -> State:
    shapes = {0: (32, 3, 3, 3), 3: (32, 32, 3, 3), 6: (64, 32, 3, 3)}
    stem = {f"conv1.{index}.weight": torch.zeros(shape) for index, shape in shapes.items()}
    return {**stem, **{key: value for key, value in state.items() if key != "conv1.weight"}}


def _average_pooling(state: State) -> State:
    """timm's resnet50d: pool, convolution, BN in place of convolution, BN."""
    moved = {}
    for key, value in state.items():
        for index in (1, 0):
            key = key.replace(f"downsample.{index}.", f"downsample.{index + 1}.")
        moved[key] = value
    return moved


def _halved(state: State) -> State:
    """The first bottleneck with half of its inner channels."""
    first = {"layer1.0.conv1.weight": torch.zeros(32, 64, 1, 1), "layer1.0.conv2.weight": torch.zeros(32, 32, 3, 3)}
    return {**state, **first}


def _add(**tensors: Tensor) -> Callable[[State], State]:
    return lambda state: {**state, **{key.replace("__", "."): value for key, value in tensors.items()}}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("resnext101_64x4d", dict, "looks like resnext101_64x4d; `resdet info` lists the networks that resdet has"),
        ("resnet50", _halved, r"looks like wide_resnet50_0\.5; "),
        ("resnet50", _deep_stem, "a deep stem of several convolutions, but no average pooling in its shortcuts"),
        ("resnet50", _average_pooling, "average pooling in its shortcuts, but no deep stem"),
        ("resnext50_32x4d", lambda state: _average_pooling(_deep_stem(state)), "looks like resnext50d_32x4d; "),
        (
            "resnet50",
            lambda state: {**_average_pooling(_deep_stem(state)), "conv1.0.weight": torch.zeros(24, 3, 3, 3)},
            r"a deep stem of \[24, 32, 64\] channels",
        ),
        ("resnet50", _add(layer1__0__se__fc1__weight=torch.zeros(1)), "attention in its blocks"),
        ("resnet50", _add(layer2__0__conv2_offset__weight=torch.zeros(1)), "deformable convolutions"),
        ("resnet50", _add(conv1__weight=torch.zeros(64, 1, 7, 7)), "1 input channels instead of 3"),
        ("resnet50", _add(conv1__weight=torch.zeros(64, 3, 3, 3)), "a first convolution of 3x3 instead of 7x7"),
        (
            "resnet50",
            lambda state: {key: value for key, value in state.items() if "running" not in key},
            "norm layers without statistics",
        ),
        (
            "resnet50",
            lambda state: {key: value for key, value in state.items() if not key.startswith("layer3.5")},
            r"looks like a ResNet of bottleneck blocks \[3, 4, 5, 3\]; `resdet info` lists",
        ),
    ],
)
def test_variants_are_refused_by_what_differs(name: str, change: Callable[[State], State], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"weights\.pkl: .*{message}"):
        _convert(change(_torchvision(name)))


def test_other_names_are_told_with_what_is_read() -> None:
    for state in ({"resnet.embedder.embedder.convolution.weight": torch.zeros(1)}, {"features.0.0.weight": torch.zeros(1)}):
        with pytest.raises(ConfigError, match=r"names like no source that is known .*reads torchvision, timm, caffe2"):
            _convert(state)
    both = {"conv1.weight": torch.zeros(1), "conv1_w": torch.zeros(1)}
    with pytest.raises(ConfigError, match="names like torchvision and caffe2"):
        _convert(both)


@pytest.mark.parametrize(("scheme", "name"), [("caffe2", "torchvision"), ("detectron2", "torchvision")])
def test_the_source_that_is_asked_for_must_be_the_files(scheme: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"--from {scheme}, but its names are {name}'s \(conv1\.weight, …\)"):
        _convert(_torchvision("resnet18"), scheme)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("backbone.fpn_lateral2.weight", r"a feature pyramid \(FPN\)"),
        ("backbone.bottom_up.stem.conv1.weight", r"a feature pyramid \(FPN\)"),
        ("backbone.res5.0.conv1.weight", r"conv5 in its trunk \(DC5\)"),
        ("roi_heads.mask_head.deconv.weight", r"a mask head \(Mask R-CNN\)"),
        ("roi_heads.keypoint_head.score_lowres.weight", "a keypoint head"),
        ("roi_heads.box_predictor.0.cls_score.weight", r"a cascade of box heads"),
        ("roi_heads.box_head.fc1.weight", "a box head of layers of its own"),
        ("head.cls_subnet.0.weight", "a one-stage head"),
        ("sem_seg_head.predictor.weight", "a segmentation head"),
        ("teacher.weight", "what is no part of a ResNet: teacher.weight"),
        ("backbone.res2.0.conv9.weight", "what is no part of a ResNet: res2.0.conv9.weight"),
    ],
)
def test_other_detectors_are_refused_by_name(key: str, message: str) -> None:
    state = {**zoo_state(width=1), key: torch.zeros(1)}
    with pytest.raises(ConfigError, match=rf"weights\.pkl: .*{message}"):
        _convert(state)


@pytest.mark.parametrize(
    ("prefix", "message"),
    [("proposal_generator.", "no proposal network"), ("roi_heads.box_predictor.", "no box predictor")],
)
def test_halves_of_a_detector_are_refused(prefix: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _convert({key: value for key, value in zoo_state(width=1).items() if not key.startswith(prefix)})


def test_other_anchors_are_refused() -> None:
    state = zoo_state(width=1)
    cell = "proposal_generator.anchor_generator.cell_anchors.0"
    half, double = 11.3137, 22.6274
    smallest = torch.tensor([[-double, -half, double, half], [-16, -16, 16, 16], [-half, -double, half, double]])
    right = torch.cat([smallest * 2**k for k in range(5)])
    assert _convert({**state, cell: right}).ignored == (cell,)
    with pytest.raises(ConfigError, match=r"cell_anchors\.0 must be sizes \[32"):
        _convert({**state, cell: right.round()})
    state["proposal_generator.rpn_head.objectness_logits.weight"] = torch.zeros(12, 16, 1, 1)
    with pytest.raises(ConfigError, match="12 anchors a position instead of the 15 that C4 models have, and no config"):
        _convert(state)


def test_a_detector_of_detectrons_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a detector of Detectron's, .* only its backbones are read"):
        _convert({"conv1_w": torch.zeros(64, 3, 7, 7), "conv_rpn_w": torch.zeros(1)})


def test_group_normalization_is_no_part_of_our_resnet() -> None:
    with pytest.raises(ConfigError, match="no part of a ResNet: conv1_gn_s"):
        _convert({"conv1_w": torch.zeros(64, 3, 7, 7), "conv1_gn_s": torch.zeros(64)})


def test_a_resnext_of_detectrons_is_refused() -> None:
    """It was trained on pixels that its ResNets were not, and nothing in the file says so."""
    blobs = {"conv1_w": torch.zeros(64, 3, 7, 7), "res2_0_branch1_w": torch.zeros(256, 64, 1, 1)}
    for stage, blocks in enumerate((3, 4, 6, 3), start=2):
        for block in range(blocks):
            width = 128 * 2 ** (stage - 2)
            inputs = 64 if (stage, block) == (2, 0) else 2 * width if block else width
            shapes = {"a": (width, inputs, 1, 1), "b": (width, width // 32, 3, 3), "c": (2 * width, width, 1, 1)}
            blobs |= {f"res{stage}_{block}_branch2{part}_w": torch.zeros(shape) for part, shape in shapes.items()}
    with pytest.raises(ConfigError, match=r"weights\.pkl: a resnext50_32x4d of caffe2's wants other pixels than its ResNets"):
        _convert(blobs)


def test_two_classifiers_are_refused() -> None:
    weight = torch.zeros(2, 4)
    with pytest.raises(ConfigError, match="1 of its tensors have a second name"):
        _convert({"conv1_w": torch.zeros(64, 3, 7, 7), "fc1000_w": weight, "pred_w": weight})


def test_the_command_offers_what_is_known() -> None:
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    choices = {action.dest: action.choices for action in parser._actions if action.choices}
    assert choices["scheme"] == ("auto", *SCHEMES)
    assert choices["pixels"] == tuple(CONVENTIONS)
