"""Which pixels and which stride a converted file is taken to want: by what is given, by what it says, and by its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from zoo_state import zoo_state

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.weights.evidence import expected_scale, input_scale
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.convert import CONVENTIONS, Conversion, convert_weights
from resdet.models.convert.convert_file import convert_file
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

State = dict[str, Tensor]


def converted(state: State, name: str = "weights.pth", card: dict[str, Any] | None = None, **options: Any) -> Conversion:
    return convert_weights(WeightsFile(Path(name), state, card), **options)


def resnet50() -> State:
    torch.manual_seed(0)
    return create_backbone("resnet50", num_classes=3, width=8).state_dict()


def of_scale(state: State, pixels: PixelConvention, conv: str = "conv1", norm: str = "bn1") -> State:
    """The state with statistics of the first BN as input of these pixels makes them."""
    unit = {**state, f"{norm}.running_var": torch.full_like(state[f"{norm}.running_var"], 2.0)}
    named = {"conv1.weight": unit[f"{conv}.weight"]}
    named |= {f"bn1.{part}": unit[f"{norm}.{part}"] for part in ("running_mean", "running_var")}
    scale = input_scale(named)
    assert scale
    return {**unit, f"{norm}.running_var": unit[f"{norm}.running_var"] * (expected_scale(pixels) / scale) ** 2}


def test_a_file_of_the_toolkits_own_is_converted_already() -> None:
    with pytest.raises(ConfigError, match=r"^weights\.pth: is a resdet model file already$"):
        converted(resnet50(), card={"task": "classification"})


@pytest.mark.parametrize("name", ["resnet50_msra-5891d200.pth", "resnet50_caffe-788b5fa3.pth"])
def test_the_authors_by_name_under_torchvisions_names_must_be_told(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        converted(resnet50(), name)
    (problem,) = caught.value.problems
    assert problem == (
        f"{name}: its name is that of the authors' weights under torchvision's names: say what it is, "
        "--pixels msra --stride 1x1 if it is that"
    )
    found = converted(resnet50(), name, pixels=CONVENTIONS["msra"])
    assert (found.pixels, found.stride_in_1x1, found.assumed) == (PIXEL_CONVENTIONS["msra"], True, ())


def test_statistics_against_the_source_must_be_told_too() -> None:
    state = of_scale(resnet50(), PIXEL_CONVENTIONS["msra"])
    with pytest.raises(
        ConfigError, match=r"its BN statistics belong to input of standard deviation 5\d.*, torchvision's weights"
    ):
        converted(state)
    assert converted(state, pixels=CONVENTIONS["msra"]).pixels == PIXEL_CONVENTIONS["msra"]
    found = converted(of_scale(resnet50(), PIXEL_CONVENTIONS["torchvision"]))
    assert (found.pixels, found.stride_in_1x1, found.assumed) == (PIXEL_CONVENTIONS["torchvision"], False, ())


@pytest.mark.parametrize("stride", [None, False, True])
@pytest.mark.parametrize("pixels", ["torchvision", "msra"])
def test_what_is_given_is_taken(pixels: str, stride: bool | None) -> None:
    found = converted(resnet50(), pixels=CONVENTIONS[pixels], stride_in_1x1=stride)
    assert found.pixels == CONVENTIONS[pixels]
    # the authors' pixels go with the authors' stride
    assert found.stride_in_1x1 == (pixels == "msra" if stride is None else stride)
    assert found.assumed == (() if stride is not None else ("stride",))


def test_what_neither_says_is_assumed() -> None:
    found = converted(resnet50())
    assert (found.pixels, found.stride_in_1x1, found.assumed) == (PIXEL_CONVENTIONS["torchvision"], False, ("pixels", "stride"))
    assert converted(resnet50(), stride_in_1x1=True).assumed == ("pixels",)
    torch.manual_seed(0)
    basic = create_backbone("resnet18", num_classes=3, width=8).state_dict()
    assert converted(basic).assumed == ("pixels",)  # a basic block has no stride to place


STEM = ("backbone.stem.conv1", "backbone.stem.conv1.norm")


def test_detectron2s_models_are_the_authors_or_torchvisions_by_their_statistics() -> None:
    plain = converted(zoo_state())
    assert (plain.pixels, plain.stride_in_1x1, plain.assumed) == (CONVENTIONS["detectron2"], True, ("pixels", "stride"))
    trained = converted(of_scale(zoo_state(), PIXEL_CONVENTIONS["torchvision"], *STEM))
    assert (trained.pixels, trained.stride_in_1x1) == (PIXEL_CONVENTIONS["torchvision"], False)
    trained = converted(of_scale(zoo_state(), PIXEL_CONVENTIONS["msra"], *STEM))
    assert (trained.pixels, trained.stride_in_1x1) == (CONVENTIONS["detectron2"], True)


@pytest.mark.parametrize("name", ["detectron2", "torchvision"])
@pytest.mark.parametrize("shape", [(3,), (3, 1, 1)])
def test_what_a_detectron2_file_says_of_its_pixels_is_taken(name: str, shape: tuple[int, ...]) -> None:
    known = CONVENTIONS[name]
    unit = 255 / known.range
    said = {"pixel_mean": unit * torch.tensor(known.mean).view(shape), "pixel_std": unit * torch.tensor(known.std).view(shape)}
    found = converted({**zoo_state(), **said})
    assert found.pixels == known
    assert set(found.ignored) == set(said)
    for part, value in said.items():
        with pytest.raises(ConfigError, match=r"pixel_mean \[.*\] and pixel_std \[.*\] are not known: give --pixels$"):
            converted({**zoo_state(), **said, part: value + 0.5})
        with pytest.raises(DataError, match=r"must be 3 numbers each, got \d and \d$"):
            converted({**zoo_state(), **said, part: value.flatten()[:2]})
        # one of the two alone says nothing
        assert converted({**zoo_state(), part: value}).pixels == CONVENTIONS["detectron2"]


def test_a_backbone_without_a_classifier(tmp_path: Path) -> None:
    state = {key: value for key, value in resnet50().items() if not key.startswith("fc.")}
    torch.save(state, tmp_path / "resnet50-0676ba61.pth")
    made = convert_file(tmp_path / "resnet50-0676ba61.pth", tmp_path / "b.safetensors")
    assert (made.conversion.task, made.conversion.num_classes) == ("backbone", 0)
    facts = made.facts()
    assert facts["backbone"] == "resnet50, stride in the 3x3, width 8"
    assert facts["test"] == facts["classes"] == "none: name the file as model.backbone.weights"
    assert "BN" not in facts


def test_statistics_that_a_file_lacks_are_told(tmp_path: Path) -> None:
    """Caffe2's ResNets have BN's scale and shift alone."""
    torch.manual_seed(0)
    state = create_backbone("resnet50", num_classes=3, width=8).state_dict()
    blobs: State = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        if kind not in ("weight", "bias"):
            continue
        stage, _, rest = layer.partition(".")
        norm = "bn" in rest or stage == "bn1" or rest.endswith("downsample.1")
        if stage == "fc":
            name = "fc1000"
        elif not rest:
            name = "res_conv1" if norm else "conv1"
        else:
            block, _, part = rest.partition(".")
            branch = "1" if part.startswith("downsample") else f"2{'abc'[int(part[-1]) - 1]}"
            name = f"res{int(stage[-1]) + 1}_{block}_branch{branch}"
        blobs[f"{name}_{'bn_' if norm else ''}{('s' if norm else 'w') if kind == 'weight' else 'b'}"] = value
    torch.save(blobs, tmp_path / "R-50.pth")
    made = convert_file(tmp_path / "R-50.pth", tmp_path / "r.safetensors")
    facts = made.facts()
    assert (facts["names of"], facts["task"]) == ("caffe2", "classification")
    assert facts["BN"] == "scale and shift alone in the file: the missing statistics are mean 0, variance 1 - 1e-5"
    assert len(made.conversion.filled) == 2 * 53
    assert set(made.report.missing) == set(made.conversion.filled)
    for key, value in state.items():
        if key.endswith(("weight", "bias")):
            assert torch.equal(made.conversion.state[f"backbone.{key}"], value), key
