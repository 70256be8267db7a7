"""Every style of checkpoint gives the network's own tensors, bit for bit, and says what was chosen."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from narrow_networks import load_into, narrow_network, narrow_state
from safetensors.torch import save_file
from wrapped_weights import WRAPPINGS, Wrapping, two, under

from resdet.cli import main
from resdet.errors import ConfigError, DataError
from resdet.models.backbones.weights.read import read_weights
from resdet.models.convert import convert_weights
from resdet.models.model_file import read_model

PAGE = Path(__file__).resolve().parents[3] / "docs" / "weights.md"


@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=[wrapping.source for wrapping in WRAPPINGS])
def test_the_network_is_found(wrapping: Wrapping, tmp_path: Path) -> None:
    state = narrow_state()
    other = {key: value + 1 for key, value in state.items()}
    torch.save(wrapping.wrap(state, other), tmp_path / "w.pth")
    file = read_weights(tmp_path / "w.pth", wrapping.take)
    expected = other if wrapping.other else state
    expected = {key: value for key, value in expected.items() if not (wrapping.headless and key.startswith("fc."))}
    assert file.state.keys() == expected.keys()
    assert all(torch.equal(file.state[key], value) for key, value in expected.items())
    assert bool(file.notes) == bool(wrapping.said)
    assert re.match(wrapping.said, "; ".join(file.notes))


def table() -> str:
    rows = ["| who writes it | what it looks like | what is said |", "|---|---|---|"]
    for wrapping in WRAPPINGS:
        said = re.sub(r"\\(.)", r"\1", wrapping.said)
        rows.append(f"| {wrapping.source} | {wrapping.looks} | {said or 'nothing'} |")
    return "\n".join(rows)


def test_the_documents_table_is_this_one() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), table()


def test_a_wrapped_file_is_loaded_and_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(two("state_dict", "state_dict_ema")(narrow_state(), narrow_state()), tmp_path / "w.pth")
    assert load_into(narrow_network(), tmp_path / "w.pth").missing == ()
    assert main(["convert", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors"), "--take", "ema"]) == 0
    assert "of the file taken: state_dict_ema; also there: state_dict" in capsys.readouterr().out
    assert main(["info", "--weights", str(tmp_path / "w.pth")]) == 0
    assert "also there: state_dict_ema (--take ema)" in capsys.readouterr().out


def test_torchvisions_own_detector_gives_its_backbone(tmp_path: Path) -> None:
    detector = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    torch.save(detector.state_dict(), tmp_path / "w.pth")
    state = read_weights(tmp_path / "w.pth").state
    expected = detector.backbone.body.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value) for key, value in expected.items())


def test_a_set_that_is_not_there(tmp_path: Path) -> None:
    torch.save({"state_dict": narrow_state()}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"w\.pth: --take ema: the file has no such set of tensors"):
        read_weights(tmp_path / "w.pth", "ema")


def test_several_networks_without_a_usual_choice(tmp_path: Path) -> None:
    state = narrow_state()
    torch.save({**under("left.")(state, state), **under("right.")(state, state)}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"w\.pth: holds 2 networks, under left, right: save the state dict of one"):
        read_weights(tmp_path / "w.pth")


class Program(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "is a pointer of Git LFS.*git lfs pull"),
        (b"<!DOCTYPE html><html><body>Sign in", "is a web page"),
        (b"\n<HTML>", "is a web page"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf<!doctype html>", "is a web page"),
        (b"\x1f\x8b\x08", "is compressed: unpack it"),
        (b"7z\xbc\xaf\x27\x1c\x00", "is compressed: unpack it"),
        (b"x.pth" + bytes(252) + b"ustar" + bytes(100), "is compressed: unpack it"),
        (b"GGUF\x03\x00", "is GGUF"),
        (b"\x93NUMPY\x01\x00", r"is one array of numpy's: torch\.save"),
        (b"Entry not found", "is a text, and holds no tensors: 'Entry not found'"),
        (b"404: Not\nFound", "is a text, and holds no tensors: '404: Not Found'"),
        (b"\x89HDF\r\n", "is HDF5"),
        (b'{"weight_map": {}}', "is JSON, and holds no tensors: an index of parts"),
    ],
)
def test_files_that_people_take_for_weights(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(DataError, match=rf"w\.pth: {problem}"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_pointer_is_told_whatever_the_file_is_called(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", encoding="utf-8")
    for read in (read_weights, read_model):
        with pytest.raises(DataError, match=r"w\.\w+: is a pointer of Git LFS"):
            read(path)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("model.ckpt.data-00000-of-00001", "TensorFlow's"),
        ("model.ckpt.index", "TensorFlow's"),
        ("m.tflite", "TensorFlow's"),
        ("flax_model.msgpack", "Flax's"),
        ("r50.caffemodel", "Caffe's"),
        ("r50.params", "MXNet's"),
        ("r50.onnx", "a graph of ONNX"),
        ("__0_0.distcp", "a part of a checkpoint: .*dcp_to_torch_save"),
    ],
)
def test_files_of_others_are_known_by_their_names(name: str, whose: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01\xff\xfe" * 30)
    with pytest.raises(DataError, match=f"is {whose}"):
        read_weights(tmp_path / name)
    torch.save(narrow_state(), tmp_path / name)  # a name alone refuses nothing
    assert read_weights(tmp_path / name).state.keys() == narrow_state().keys()


def test_archives_that_torch_did_not_write(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{key: value.numpy() for key, value in narrow_state().items()})
    with pytest.raises(DataError, match=r"is an archive of numpy's: numpy\.load\(FILE\) has its arrays"):
        read_weights(tmp_path / "w.npz")
    for member, told in (("model.weights.h5", "is Keras's"), ("w.pth", "is compressed: unpack it")):
        with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
            archive.writestr(member, "x")
        with pytest.raises(DataError, match=told):
            read_weights(tmp_path / "w.zip")


def test_one_of_several_parts(tmp_path: Path) -> None:
    part = {key: value for key, value in narrow_state().items() if "layer3" in key}
    save_file(part, tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(ConfigError, match=r"by its name it is one part of several: in Python, torch\.save"):
        convert_weights(read_weights(tmp_path / "model-00001-of-00002.safetensors"))


def test_several_sets_without_a_usual_choice(tmp_path: Path) -> None:
    torch.save({"generator": narrow_state(), "critic": narrow_state(), "epoch": 1}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"w\.pth: holds several sets of tensors, under generator, critic: save"):
        read_weights(tmp_path / "w.pth")


def test_a_variance_below_0_is_told_before_anything_is_written(tmp_path: Path) -> None:
    torch.save({**narrow_state(), "bn1.running_var": -torch.ones(4)}, tmp_path / "w.pth")
    assert main(["convert", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")]) == 3
    assert not (tmp_path / "w.safetensors").exists()


def test_a_bias_without_a_dimension_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({**narrow_state(), "fc.bias": torch.tensor(1.0)}, tmp_path / "w.pth")
    assert main(["info", "--weights", str(tmp_path / "w.pth")]) == 0
    assert "fc.bias must hold floating numbers, at least one in at least one dimension" in capsys.readouterr().out


def test_torchscript_is_a_program(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer releases of torch announce its end
        torch.jit.script(Program()).save(str(tmp_path / "w.pt"))
    with pytest.raises(DataError, match=r"w\.pt: is TorchScript, a program with its tensors: in Python, torch\.save"):
        read_weights(tmp_path / "w.pt")


def test_an_exported_program_is_no_weights_file(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(torch.nn.Linear(2, 3), (torch.zeros(1, 2),)), tmp_path / "w.pt2")
    with pytest.raises(DataError, match=r"w\.pt2: is a program of torch\.export, .*torch\.save\(torch\.export\.load\(FILE\)"):
        read_weights(tmp_path / "w.pt2")


class Payload:
    """What runs where it is unpickled."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, ...]:
        function, *arguments = self.call
        return function, tuple(arguments)


def test_what_is_not_read_is_not_run(tmp_path: Path) -> None:
    content = {"state_dict": narrow_state(), "more": Payload(tempfile.mkdtemp, "", "ran", tmp_path)}
    torch.save(content, tmp_path / "w.pth")
    assert "not read: tempfile.mkdtemp" in "; ".join(read_weights(tmp_path / "w.pth").notes)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("value", [slice(1, 2), range(3), frozenset([1])])
def test_plain_values_of_python_are_left_out(value: object, tmp_path: Path) -> None:
    torch.save({"state_dict": narrow_state(), "more": value}, tmp_path / "w.pth")
    assert f"{type(value).__name__}" in "; ".join(read_weights(tmp_path / "w.pth").notes)


@pytest.mark.parametrize("call", [(os.mkdir, "ran"), (eval, "1 + 1"), (getattr, Path, "touch"), (print, "ran")])
def test_a_file_that_names_what_only_harms_is_refused(call: tuple[object, ...], tmp_path: Path) -> None:
    torch.save({"state_dict": narrow_state(), "more": Payload(*call)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"it names \S+; where that is installed"):
        read_weights(tmp_path / "w.pth")


def test_a_whole_pickled_module_says_the_way_out(tmp_path: Path) -> None:
    torch.save(Program(), tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"it names .*Program; where that is installed, torch\.save\(model\.state_dict\(\)"):
        read_weights(tmp_path / "w.pth")
