"""Weights files: what is read, what is reported, what is refused. No real data needed."""

from __future__ import annotations

import json
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.weights import LoadReport, load_backbone_weights
from resdet.models.backbones.weights.evidence import contradicts, expected_scale, input_scale
from resdet.models.backbones.weights.read import read_weights
from resdet.models.registry import create_backbone
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

TORCHVISION, MSRA = PIXEL_CONVENTIONS["torchvision"], PIXEL_CONVENTIONS["msra"]


def _network(name: str = "resnet18", **options: Any) -> ResNet:
    return create_backbone(name, **{"width": 4, "num_classes": 3, **options})


def _state(name: str = "resnet18", **options: Any) -> dict[str, Tensor]:
    torch.manual_seed(7)
    return _network(name, **options).state_dict()


def _load(network: ResNet, path: Path, pixels: PixelConvention | None = None) -> LoadReport:
    return load_backbone_weights(network, path, pixels=pixels, stride_in_1x1=network.spec.stride_in_1x1)


def _with_statistics(state: dict[str, Tensor], pixels: PixelConvention) -> dict[str, Tensor]:
    """The state with conv1's true statistics on smooth random pictures, as training under ``pixels`` would leave them."""
    small = torch.rand(16, 1, 8, 8) + 0.3 * torch.rand(16, 3, 8, 8)
    images = torch.nn.functional.interpolate(small, size=128, mode="bilinear")
    images = ((images - images.min()) / (images.max() - images.min()) * 255).to(torch.uint8)
    conv, norm = ("conv1.0", "conv1.1") if "conv1.0.weight" in state else ("conv1", "bn1")
    weight = state[f"{conv}.weight"].float()
    response = torch.nn.functional.conv2d(pixels.normalize(images), weight, stride=2, padding=weight.shape[-1] // 2)
    return {**state, f"{norm}.running_mean": response.mean((0, 2, 3)), f"{norm}.running_var": response.var((0, 2, 3))}


def _card(path: Path, state: dict[str, Tensor], pixels: PixelConvention, **backbone: Any) -> Path:
    architecture = {"backbone": {"name": "resnet50", "width": 4, "shortcut": "B", "stride_in_1x1": False, **backbone}}
    card = {"task": "classification", "architecture": architecture, "names": ["a", "b", "c"], "pixels": pixels.to_dict()}
    save_file(state, path, {"resdet": json.dumps(card)})
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: OrderedDict((f"module.{key}", value) for key, value in state.items()),
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"backbone.{key}": value for key, value in state.items()},
        lambda state: {key.replace("fc.", "linear."): value for key, value in state.items()},
        lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
    ],
    ids=["plain", "data parallel", "checkpoint", "model", "classifier", "linear", "without counters"],
)
def test_reads_every_wrapping_of_a_state_dict(tmp_path: Path, wrap: Callable[[dict[str, Tensor]], object]) -> None:
    state, network = _state(), _network()
    torch.save(wrap(state), tmp_path / "weights.pth")
    report = _load(network, tmp_path / "weights.pth")
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert (report.missing, report.unexpected, dict(report.mismatched)) == ((), (), {})
    assert len(report.loaded) == sum(not key.endswith("num_batches_tracked") for key in state)
    assert report.pixels == TORCHVISION
    assert report.looks_like == "resnet18"


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_reads_safetensors_and_casts_half_precision_up(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    state, network = _state(), _network()
    halves = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    save_file(halves, tmp_path / name)
    _load(network, tmp_path / name)
    for key, value in network.named_parameters():
        assert value.dtype == torch.float32
        assert torch.equal(value, halves[key].float()), key


def test_loads_into_frozen_bn(tmp_path: Path) -> None:
    state = _with_statistics(_state(), TORCHVISION)
    torch.save(state, tmp_path / "weights.pth")
    network = _network(norm=FrozenBatchNorm2d)
    report = _load(network, tmp_path / "weights.pth")
    assert report.misfits() == []
    assert torch.equal(network.bn1.running_var, state["bn1.running_var"])


def test_another_number_of_classes_keeps_the_fresh_classifier_and_says_so(tmp_path: Path) -> None:
    torch.save(_state(num_classes=5), tmp_path / "weights.pth")
    network = _network()
    before = network.fc.weight.clone()
    report = _load(network, tmp_path / "weights.pth")
    assert torch.equal(network.fc.weight, before)
    assert dict(report.mismatched) == {"fc.weight": ((5, 32), (3, 32)), "fc.bias": ((5,), (3,))}
    assert "mismatched      2\n    fc.weight (5, 32), wanted (3, 32)\n    fc.bias (5,), wanted (3,)" in report.table()


def test_a_missing_classifier_is_reported(tmp_path: Path) -> None:
    torch.save({key: value for key, value in _state().items() if not key.startswith("fc.")}, tmp_path / "weights.pth")
    assert _load(_network(), tmp_path / "weights.pth").missing == ("fc.weight", "fc.bias")


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("resnet18", "resnet34"),
        ("resnet34", "resnet18"),
        ("resnet34", "resnet50"),
        ("resnet50", "resnet34"),
        ("resnet50", "resnet101"),
        ("resnet101", "resnet152"),
        ("cifar_resnet20", "cifar_resnet32"),
        ("resnet18", "cifar_resnet20"),
        ("resnet18", "plain18"),
    ],
)
def test_weights_of_another_network_are_refused_with_a_summary(tmp_path: Path, written: str, wanted: str) -> None:
    torch.save(_state(written), tmp_path / "weights.pth")
    network = _network(wanted)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        _load(network, tmp_path / "weights.pth")
    message = str(caught.value)
    assert f"weights.pth: weights that look like {written} do not fit option 'model.backbone.name'={wanted}" in message
    for kind in ("loaded", "missing", "unexpected", "mismatched"):
        assert re.search(rf"\b\d+ {kind}\b", message)
    assert "\n" not in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_another_width_is_refused(tmp_path: Path) -> None:
    torch.save(_state(width=8), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"conv1\.weight \(8, 3, 7, 7\), wanted \(4, 3, 7, 7\)"):
        _load(_network(), tmp_path / "weights.pth")


def test_a_state_dict_of_something_else_says_so(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(3)}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="look like something else than a ResNet in torchvision's naming"):
        _load(_network(), tmp_path / "weights.pth")


class _Opened:
    """Opens a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def _truncated(path: Path) -> None:
    torch.save(_state(), path)
    path.write_bytes(path.read_bytes()[:-5000])


def _truncated_safetensors(path: Path) -> None:
    save_file(_state(), path)
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("conv1.weight: see attachment\n"), "not a torch weights file"),
        (lambda path: path.write_bytes(b""), "not a torch weights file"),
        (lambda path: path.write_bytes(bytes(range(256))), "not a torch weights file"),
        (lambda path: path.write_bytes(b"12345678{not json"), "not a safetensors file"),
        (_truncated, "truncated"),
        (_truncated_safetensors, "truncated"),
        (lambda path: torch.save({}, path), "must hold a state dict .* got an empty mapping"),
        (lambda path: torch.save([1, 2], path), "must hold a state dict .* got a list"),
        (lambda path: torch.save({"epoch": 3}, path), "must hold a state dict .* got a mapping with 'epoch': int"),
        (
            lambda path: torch.save(_state() | {"bn1.bias": torch.tensor([0, 1, 2, float("nan")])}, path),
            "NaN or infinity in bn1.bias",
        ),
    ],
    ids=["text", "empty", "bytes", "brace", "torch", "safetensors", "no keys", "list", "no tensors", "nan"],
)
def test_files_that_hold_no_weights_are_bad_data(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(DataError, match=f"weights\\.pth: .*{message}") as caught:
        _load(_network(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_no_pickle_is_executed(tmp_path: Path, protocol: str) -> None:
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    content = {"conv1.weight": _Opened(trace)}
    if protocol == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match="without executing a pickle"):
        _load(_network(), path)
    assert not trace.exists()


def test_a_missing_file_names_the_option(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(ConfigError, match=r"option 'model\.backbone\.weights': no such file: "):
            _load(_network(), path)


def test_a_files_own_pixel_convention_is_taken_and_checked(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", _state("resnet50"), MSRA)
    assert _load(_network("resnet50"), path).pixels == MSRA
    assert _load(_network("resnet50"), path, MSRA).pixels == MSRA
    with pytest.raises(ConfigError, match=r"pixel convention is msra, option 'model\.backbone\.pixels' asks for torchvision"):
        _load(_network("resnet50"), path, TORCHVISION)


def test_a_files_own_stride_and_shortcut_are_checked_together(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", _state("resnet50"), MSRA, stride_in_1x1=True, shortcut="A")
    with pytest.raises(ConfigError) as caught:
        _load(_network("resnet50"), path, TORCHVISION)
    assert len(caught.value.problems) == 3
    assert "trained with stride_in_1x1=True, option 'model.backbone.stride_in_1x1' asks for False" in str(caught.value)
    assert "trained with shortcut=A, option 'model.backbone.shortcut' asks for B" in str(caught.value)


def test_a_basic_block_has_no_stride_to_disagree_on(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", _state(), TORCHVISION, name="resnet18", stride_in_1x1=True)
    assert _load(_network(), path).misfits() == []


def test_plain_and_option_a_have_the_same_keys_and_are_told_apart(tmp_path: Path) -> None:
    path = _card(tmp_path / "model.safetensors", _state(shortcut="A"), TORCHVISION, name="resnet18", shortcut="A")
    assert _load(_network(shortcut="A"), path).misfits() == []
    with pytest.raises(ConfigError, match=r"trained with shortcut=A, .* asks for none"):
        _load(_network("plain18"), path)


@pytest.mark.parametrize(("pixels", "stride"), [(TORCHVISION, False), (MSRA, True)])
def test_statistics_of_a_foreign_file_show_its_convention_and_stride(
    tmp_path: Path, pixels: PixelConvention, stride: bool
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(_with_statistics(_state("resnet50"), pixels), path)
    other = TORCHVISION if pixels is MSRA else MSRA
    name = "msra" if pixels is MSRA else "torchvision"
    right, wrong = (_network("resnet50", stride_in_1x1=value) for value in (stride, not stride))
    assert _load(right, path, pixels).pixels == pixels
    with pytest.raises(ConfigError, match=rf"set model\.backbone\.pixels={name}$"):
        _load(right, path, other)
    with pytest.raises(ConfigError, match=rf"set model\.backbone\.stride_in_1x1={str(stride).lower()}$"):
        _load(wrong, path, pixels)
    with pytest.raises(ConfigError) as caught:
        _load(wrong, path, other)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("pixels", [TORCHVISION, MSRA], ids=["torchvision", "msra"])
@pytest.mark.parametrize("name", ["resnet50", "resnet50d"])
def test_estimated_input_scale_is_near_the_truth(name: str, pixels: PixelConvention) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        scale = input_scale(_with_statistics(_network(name, width=32).state_dict(), pixels))
        assert scale is not None
        assert 1 / 3 < scale / expected_scale(pixels) < 3
        assert [contradicts(scale, known) for known in (TORCHVISION, MSRA)] == [pixels is MSRA, pixels is TORCHVISION]


def test_no_statistics_are_no_evidence() -> None:
    state = _state()
    assert input_scale(state) is None
    assert input_scale({}) is None
    assert input_scale({**state, "bn1.running_var": torch.ones(4) - 1e-5}) is None
    assert input_scale({**state, "bn1.running_var": torch.full((4,), 2.0)}) is not None
    assert input_scale({**state, "bn1.running_var": torch.zeros(4)}) is None


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(1).expand(10**12),
        torch.ones(2, 2).to_sparse(),
        torch.empty(3, device="meta"),
        torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    ],
    ids=["repeated", "sparse", "meta", "quantized"],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_no_plain_numbers_are_bad_data(tmp_path: Path, value: Tensor) -> None:
    torch.save({"conv1.weight": value}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"w\.pth: "):
        read_weights(tmp_path / "w.pth")
