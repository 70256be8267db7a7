"""Weights files: what is read, what is reported, what is refused. No real data needed."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow_networks import load_into, narrow_network, narrow_state, with_statistics
from safetensors.torch import save_file
from torch import Tensor

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.weights.read import read_weights
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.structures import PIXEL_CONVENTIONS

TORCHVISION = PIXEL_CONVENTIONS["torchvision"]


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
    state, network = narrow_state(), narrow_network()
    torch.save(wrap(state), tmp_path / "weights.pth")
    report = load_into(network, tmp_path / "weights.pth")
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert (report.missing, report.unexpected, dict(report.mismatched)) == ((), (), {})
    assert len(report.loaded) == sum(not key.endswith("num_batches_tracked") for key in state)
    assert report.pixels == TORCHVISION
    assert report.looks_like == "resnet18"


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_reads_safetensors_and_casts_half_precision_up(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    state, network = narrow_state(), narrow_network()
    halves = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    save_file(halves, tmp_path / name)
    load_into(network, tmp_path / name)
    for key, value in network.named_parameters():
        assert value.dtype == torch.float32
        assert torch.equal(value, halves[key].float()), key


@pytest.mark.parametrize(
    ("card", "said"),
    [("{", "is not JSON"), ("[1]", r"must be a JSON object, got \[1\]"), ("null", "must be a JSON object, got None")],
)
def test_a_card_that_cannot_be_read_is_no_truncated_file(tmp_path: Path, card: str, said: str) -> None:
    save_file(narrow_state(), tmp_path / "a.safetensors", {"resdet": card})
    with pytest.raises(DataError, match=rf"a\.safetensors: its model card cannot be read: {said}"):
        load_into(narrow_network(), tmp_path / "a.safetensors")


def test_loads_into_frozen_bn(tmp_path: Path) -> None:
    state = with_statistics(narrow_state(), TORCHVISION)
    torch.save(state, tmp_path / "weights.pth")
    network = narrow_network(norm=FrozenBatchNorm2d)
    report = load_into(network, tmp_path / "weights.pth")
    assert report.misfits() == []
    assert torch.equal(network.bn1.running_var, state["bn1.running_var"])


def test_another_number_of_classes_keeps_the_fresh_classifier_and_says_so(tmp_path: Path) -> None:
    torch.save(narrow_state(num_classes=5), tmp_path / "weights.pth")
    network = narrow_network()
    before = network.fc.weight.clone()
    report = load_into(network, tmp_path / "weights.pth")
    assert torch.equal(network.fc.weight, before)
    assert dict(report.mismatched) == {"fc.weight": ((5, 32), (3, 32)), "fc.bias": ((5,), (3,))}
    assert "mismatched      2\n    fc.weight (5, 32), wanted (3, 32)\n    fc.bias (5,), wanted (3,)" in report.table()


def test_a_missing_classifier_is_reported(tmp_path: Path) -> None:
    torch.save({key: value for key, value in narrow_state().items() if not key.startswith("fc.")}, tmp_path / "weights.pth")
    assert load_into(narrow_network(), tmp_path / "weights.pth").missing == ("fc.weight", "fc.bias")


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
    torch.save(narrow_state(written), tmp_path / "weights.pth")
    network = narrow_network(wanted)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        load_into(network, tmp_path / "weights.pth")
    message = str(caught.value)
    assert f"weights.pth: weights that look like {written} do not fit option 'model.backbone.name'={wanted}" in message
    for kind in ("loaded", "missing", "unexpected", "mismatched"):
        assert re.search(rf"\b\d+ {kind}\b", message)
    assert "\n" not in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_another_width_is_refused(tmp_path: Path) -> None:
    torch.save(narrow_state(width=8), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"conv1\.weight \(8, 3, 7, 7\), wanted \(4, 3, 7, 7\)"):
        load_into(narrow_network(), tmp_path / "weights.pth")


def test_a_state_dict_of_something_else_says_so(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(3)}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="look like something else than a ResNet in torchvision's naming"):
        load_into(narrow_network(), tmp_path / "weights.pth")


class _Opened:
    """Opens a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def _truncated(path: Path) -> None:
    torch.save(narrow_state(), path)
    path.write_bytes(path.read_bytes()[:-5000])


def _truncated_safetensors(path: Path) -> None:
    save_file(narrow_state(), path)
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("conv1.weight: see attachment\n"), "is a text, and holds no tensors"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(bytes(range(256))), "not a torch weights file"),
        (lambda path: path.write_bytes(b"12345678{not json"), "not a safetensors file"),
        (_truncated, "truncated"),
        (_truncated_safetensors, "truncated"),
        (lambda path: torch.save({}, path), "must hold a state dict .* got an empty mapping"),
        (lambda path: torch.save([1, 2], path), "must hold a state dict .* got a list"),
        (lambda path: torch.save({"epoch": 3}, path), "must hold a state dict .* got a mapping with 'epoch': int"),
        (
            lambda path: torch.save(narrow_state() | {"bn1.bias": torch.tensor([0, 1, 2, float("nan")])}, path),
            "NaN or infinity in bn1.bias",
        ),
    ],
    ids=["text", "empty", "bytes", "brace", "torch", "safetensors", "no keys", "list", "no tensors", "nan"],
)
def test_files_that_hold_no_weights_are_bad_data(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(DataError, match=f"weights\\.pth: .*{message}") as caught:
        load_into(narrow_network(), path)
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
        load_into(narrow_network(), path)
    assert not trace.exists()


def test_a_missing_file_names_the_option(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(ConfigError, match=r"option 'model\.backbone\.weights': no such file: "):
            load_into(narrow_network(), path)


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
