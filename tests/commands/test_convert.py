"""`resdet convert`: files of other toolkits in, model files that run alone out."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rounding
import torch
import torch.nn.functional as F
import torchvision
from rounding import assert_near
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from resdet.cli import main
from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.load import load
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.weights import load_backbone_weights

State = dict[str, Tensor]
ROUNDING = rounding.network(18, 9 * 512, torch.float32)  # of a whole ResNet-18, and of a narrow ResNet-50


def _card(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["resdet"])


def _network(name: str, classes: int = 5, width: int = 8, stride_in_1x1: bool = False) -> ResNet:
    """A network of ours, whose names are torchvision's, with the statistics of smooth pictures in its first BN."""
    torch.manual_seed(1)
    network = create_backbone(name, num_classes=classes, width=width, stride_in_1x1=stride_in_1x1)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.data.uniform_(0.3, 0.8)
            norm.bias.data.normal_(0, 0.1)
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    smooth = F.interpolate(torch.randn(8, 3, 16, 16), size=128, mode="bilinear") * 1.5
    response = network.conv1(smooth).detach()
    network.bn1.running_mean.copy_(response.mean((0, 2, 3)))
    network.bn1.running_var.copy_(response.var((0, 2, 3)))
    return network.eval()


def _blob(layer: str) -> str:
    """The Caffe2 name of a layer of torchvision's: ``layer1.0.bn2`` is in ``res2_0_branch2b``."""
    *block, part = layer.replace("downsample.", "downsample").split(".")
    if not block:
        return "conv1"
    branch = "1" if part.startswith("downsample") else f"2{'abc'[int(part[-1]) - 1]}"
    return f"res{int(block[0][-1]) + 1}_{block[1]}_branch{branch}"


def _caffe2(state: State) -> dict[str, np.ndarray]:
    """A ResNet of torchvision's names as Caffe2 blobs, its BN folded into scale and shift."""
    blobs = {"fc1000_w": state["fc.weight"], "fc1000_b": state["fc.bias"]}
    for key, value in state.items():
        layer = key.removesuffix(".weight")
        if layer != key and value.ndim == 4:
            blobs[f"{_blob(layer)}_w"] = value
        elif layer != key and value.ndim == 1:
            name = f"{'res_' if layer == 'bn1' else ''}{_blob(layer)}_bn"
            mean, variance = state[f"{layer}.running_mean"].double(), state[f"{layer}.running_var"].double()
            scale = value.double() / (variance + 1e-5).sqrt()
            blobs |= {f"{name}_s": scale.float(), f"{name}_b": (state[f"{layer}.bias"].double() - mean * scale).float()}
    return {key: value.numpy() for key, value in blobs.items()}


def _write(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def _picture() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 70, 90), dtype=np.uint8))


def _normalized(images: Tensor) -> Tensor:
    """What torchvision's networks see."""
    return torchvision.transforms.v2.functional.normalize(images / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize("source", ["auto", "torchvision", "timm"])
def test_torchvisions_network(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    network = torchvision.models.resnet18(num_classes=5).eval()
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n\nred fox\nSchnabeltier ü\nemu\n", encoding="utf-8")
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    converted = tmp_path / "model.safetensors"
    command = ["convert", str(tmp_path / "weights.pth"), str(converted), "--from", source, "--names", str(names)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "loaded        102\nmissing         0\nunexpected      0\nmismatched      0\n" in printed
    assert "backbone    resnet18\n" in printed
    model = load(converted, device="cpu")
    assert isinstance(model, ImageClassifier)
    assert model.names == ("cat", "dog", "red fox", "Schnabeltier ü", "emu")
    with torch.no_grad():
        assert_near(model.model(_picture()), network(_normalized(_picture())), ROUNDING)


def test_safetensors_of_half_precision_and_a_thousand_classes(tmp_path: Path) -> None:
    state = _network("resnet18", classes=1000).state_dict()
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    save_file(halves, tmp_path / "a.safetensors")
    assert main(["convert", str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")]) == 0
    card = _card(tmp_path / "b.safetensors")
    assert (len(card["names"]), card["names"][0], card["names"][999]) == (1000, "tench", "toilet tissue")
    assert card["test"] == {"short_side": 256, "crop": 224}
    backbone = card["architecture"]["backbone"]
    assert (backbone["name"], backbone["width"], backbone["stride_in_1x1"]) == ("resnet18", 8, False)
    with safe_open(tmp_path / "b.safetensors", framework="pt") as file:
        assert all(file.get_tensor(key).dtype != torch.float16 for key in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("wrapped", [False, True])
def test_caffe2_blobs(tmp_path: Path, wrapped: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The logits are those of the network whose BN was folded, the stride being in the first 1x1."""
    network = _network("resnet50", stride_in_1x1=True)
    blobs = _caffe2(network.state_dict())
    _write(
        tmp_path / "R-50.pkl",
        {"blobs": {**blobs, "conv1_w_momentum": blobs["conv1_w"]}, "cfg": "TRAIN: 1"} if wrapped else blobs,
    )
    assert main(["convert", str(tmp_path / "R-50.pkl"), str(tmp_path / "model.safetensors")]) == 0
    printed = capsys.readouterr().out
    assert "loaded        161\nmissing       106\n" in printed
    assert f"unexpected      {int(wrapped)}\n" in printed
    assert "scale and shift alone in the file: the missing statistics are mean 0, variance 1 - 1e-5" in printed
    assert "stride in the 1x1" in printed
    model = load(tmp_path / "model.safetensors", device="cpu")
    assert isinstance(model, ImageClassifier)
    bgr = _picture().flip(1).float() - torch.tensor([102.9801, 115.9465, 122.7717]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = network(bgr)
        assert_near(model.model(_picture()), expected, ROUNDING)


@pytest.mark.parametrize("statistics", [False, True])
def test_a_bias_of_a_convolution_goes_into_the_bn_after_it(tmp_path: Path, statistics: bool) -> None:
    network = _network("resnet18")
    bias = torch.linspace(-1, 1, 8)
    blobs = {**_caffe2(network.state_dict()), "conv1_b": bias.numpy()}
    if statistics:
        parts = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
        blobs |= {f"res_conv1_bn_{blob}": network.state_dict()[f"bn1.{part}"].numpy() for blob, part in parts.items()}
    _write(tmp_path / "a.pkl", blobs)
    assert main(["convert", str(tmp_path / "a.pkl"), str(tmp_path / "a.safetensors"), "--pixels", "torchvision"]) == 0
    model = load(tmp_path / "a.safetensors", device="cpu")
    assert isinstance(model, ImageClassifier)
    network.conv1.bias = nn.Parameter(bias)
    with torch.no_grad():
        assert_near(model.model(_picture()), network(_normalized(_picture())), ROUNDING)


def _detectron2(state: State) -> State:
    """A ResNet of torchvision's names in Detectron2's, as its own script renames them."""
    renamed = {}
    for key, value in state.items():
        name = key if "layer" in key else f"stem.{key}"
        for stage in range(1, 5):
            name = name.replace(f"layer{stage}", f"res{stage + 1}")
        for number in range(1, 4):
            name = name.replace(f"bn{number}", f"conv{number}.norm")
        renamed[name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")] = value
    return renamed


def test_detectron2s_backbones_say_by_their_statistics_whose_they_are(tmp_path: Path) -> None:
    network = _network("resnet50")
    of_torchvision = _detectron2(network.state_dict())
    of_msra = {key: value for key, value in of_torchvision.items() if not key.startswith("stem.fc")}
    of_msra |= {"stem.conv1.norm.running_mean": torch.zeros(8), "stem.conv1.norm.running_var": torch.ones(8) - 1e-5}
    for name, state in (("torchvision", of_torchvision), ("msra", of_msra)):
        arrays = {key: value.numpy() for key, value in state.items()}
        _write(tmp_path / f"{name}.pkl", {"model": arrays, "__author__": name, "matching_heuristics": True})
        assert main(["convert", str(tmp_path / f"{name}.pkl"), str(tmp_path / f"{name}.safetensors")]) == 0
    card = _card(tmp_path / "torchvision.safetensors")
    assert (card["task"], card["pixels"]["order"], card["architecture"]["backbone"]["stride_in_1x1"]) == (
        "classification",
        "RGB",
        False,
    )
    card = _card(tmp_path / "msra.safetensors")
    assert (card["task"], card["names"], card["architecture"]["backbone"]["stride_in_1x1"]) == ("backbone", [], True)
    assert card["pixels"] == {"order": "BGR", "mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0], "range": 255}
    # a backbone starts a model of ours, with the stride that it has and no other
    resnet = create_backbone("resnet50", width=8, stride_in_1x1=True)
    report = load_backbone_weights(resnet, tmp_path / "msra.safetensors", pixels=None, stride_in_1x1=True)
    assert (report.missing, report.unexpected, report.pixels.order) == (("fc.weight", "fc.bias"), (), "BGR")
    assert torch.equal(resnet.layer3[4].conv2.weight, network.layer3[4].conv2.weight)  # type: ignore[union-attr, index]
    with pytest.raises(ConfigError, match="trained with stride_in_1x1=True"):
        load_backbone_weights(
            create_backbone("resnet50", width=8), tmp_path / "msra.safetensors", pixels=None, stride_in_1x1=False
        )
    with pytest.raises(ConfigError, match="'task' must be one of detection, classification, localization, got 'backbone'"):
        load(tmp_path / "msra.safetensors", device="cpu")


def test_statistics_that_contradict_the_source_are_refused_until_the_convention_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = _network("resnet50").state_dict()
    state["bn1.running_var"] = state["bn1.running_var"] * 58**2
    torch.save(state, tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]) == 2
    assert "say what it is, for the authors' weights --pixels msra --stride 1x1" in capsys.readouterr().err
    for stride, inside in (("1x1", True), ("3x3", False)):
        target = tmp_path / f"{stride}.safetensors"
        assert main(["convert", str(tmp_path / "a.pth"), str(target), "--pixels", "msra", "--stride", stride]) == 0
        card = _card(target)
        assert (card["architecture"]["backbone"]["stride_in_1x1"], card["pixels"]["order"]) == (inside, "BGR")


def test_mistakes_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    assert main(["convert", str(tmp_path / "gone.pth"), str(tmp_path / "model.bin")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: {tmp_path}/gone.pth: no such file",
        f"error: {tmp_path}/model.bin: must end in .safetensors",
        f"error: {tmp_path}/model.bin: exists already",
    ]


class _Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_malicious_file_is_bad_data_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    source, trace = tmp_path / f"R-50{suffix}", tmp_path / "trace"
    content = {"conv1_w": _Attack(trace)}
    if suffix == ".pth":
        torch.save(content, source)
    else:
        _write(source, content)
    assert main(["convert", str(source), str(tmp_path / "a.safetensors")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "without executing a pickle" in line
    assert f"it names {os.system.__module__}.system" in line
    assert not trace.exists()


def test_a_model_file_of_ours_is_not_converted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(_network("resnet18").state_dict(), tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]) == 0
    assert main(["convert", str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")]) == 2
    assert "a.safetensors: is a resdet model file already" in capsys.readouterr().err


def test_a_pickle_as_backbone_weights_names_the_command(tmp_path: Path) -> None:
    _write(tmp_path / "R-50.pkl", _caffe2(_network("resnet50").state_dict()))
    with pytest.raises(ConfigError, match="`resdet convert` reads Detectron's and Detectron2's names"):
        load_backbone_weights(create_backbone("resnet50", width=8), tmp_path / "R-50.pkl", pixels=None, stride_in_1x1=False)
