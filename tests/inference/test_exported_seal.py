"""An exported file that is not as it was written is told as such, before anything of it is used."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_classifiers

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto, helper
from PIL import Image

import resdet
from resdet.cli import main
from resdet.errors import ConfigError, DataError
from resdet.export.export import export_file
from resdet.inference.exported.program import ExportFacts

without_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs OpenVINO, resdet[export]")
NAMES = ["a.onnx", pytest.param("a.xml", marks=without_openvino), pytest.param("a.bin", marks=without_openvino)]
DIFFERS = (
    r"a\.{}: differs from what `resdet export` wrote: the checksum is [0-9a-f]{{8}}, it was written with [0-9a-f]{{8}}; it"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    source = tiny_classifiers.written(folder / "model.safetensors")
    export_file(source, folder / "a.onnx")
    if importlib.util.find_spec("openvino"):
        export_file(source, folder / "a.xml")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def opened(folder: Path, name: str) -> object:
    return resdet.load(folder / ("a.onnx" if name == "a.onnx" else "a.xml"))


@pytest.mark.parametrize("name", NAMES)
def test_each_flipped_bit_is_told(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    facts = content.index(b"resdet_export") if name != "a.bin" else 0
    generator = np.random.default_rng(0)
    # anywhere, and all bytes of what the file says of its export, in which the checksum stands
    places = [*generator.integers(len(content), size=25), *range(facts, min(facts + 130, len(content)), 5)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(generator.integers(8))
        (folder / name).write_bytes(damaged)
        with pytest.raises((ConfigError, DataError), match=r"a\.(onnx|xml|bin)") as told:
            opened(folder, name)
        assert "core.cpp" not in str(told.value)
        assert "ONNXRuntimeError" not in str(told.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_a_file_that_is_cut_off(name: str, left: float, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: min(int(left * len(content)), len(content) - 1)])
    with pytest.raises(DataError, match=r"a\.\w+: (is empty|is no graph of \w+, or cut off: |differs from what)"):
        opened(folder, name)
    assert capfd.readouterr().err == "", "what the runtimes say by themselves"


@without_openvino
def test_weights_of_another_model_of_the_same_size(folder: Path, tmp_path: Path) -> None:
    other = tiny_classifiers.written(tmp_path / "other.safetensors", tiny_classifiers.tiny_classifier(1))
    export_file(other, tmp_path / "other.xml")
    shutil.copyfile(tmp_path / "other.bin", folder / "a.bin")
    with pytest.raises(DataError, match=r"a\.xml or .*" + DIFFERS.format("bin")):
        resdet.load(folder / "a.xml")
    (folder / "a.bin").unlink()
    with pytest.raises(DataError, match=r"a\.bin: no such file; it holds the numbers of .*a\.xml$"):
        resdet.load(folder / "a.xml")
    (folder / "a.bin").mkdir()
    with pytest.raises(DataError, match=r"a\.bin: cannot be read: Is a directory"):
        resdet.load(folder / "a.xml")


def test_names_in_other_letters_and_in_folders_of_any_name(folder: Path) -> None:
    place = folder / "Modelle für 猫"
    place.mkdir()
    shutil.copyfile(folder / "a.onnx", place / "MEIN MODELL.ONNX")
    assert resdet.load(place / "MEIN MODELL.ONNX").names == tiny_classifiers.NAMES


def test_a_file_without_a_checksum_is_taken_as_it_is(folder: Path) -> None:
    """Those of earlier releases have none, and who has changed a file can take it out."""
    model = onnx.load(folder / "a.onnx")
    said = {each.key: each.value for each in model.metadata_props}
    assert len(ExportFacts.from_text(folder / "a.onnx", said["resdet_export"]).checksum) == 8
    model.doc_string = "changed"
    onnx.save(model, folder / "a.onnx")
    with pytest.raises(DataError, match=DIFFERS.format("onnx")):
        resdet.load(folder / "a.onnx")
    helper.set_model_props(model, {**said, "resdet_export": ExportFacts("fp32", resizes=False).to_text()})
    onnx.save(model, folder / "a.onnx")
    assert resdet.load(folder / "a.onnx").names == tiny_classifiers.NAMES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS in place of the file"),
        (b"<!DOCTYPE html><html></html>", "is a web page, saved in place of the file"),
        (b'<?xml version="1.0"?><html></html>', "is a web page, saved in place of the file"),
        (b"PK\x03\x04archive_format", "is a zip file: an archive, or of torch"),
        (
            b'<?xml version="1.0"?><annotation><size/></annotation>',
            "is XML, and no graph of ONNX|is no graph of OpenVINO: must begin",
        ),
        (b"\x80\x02}q\x00.", "is no graph of ONNX, or cut off: its 6 bytes|is no graph of OpenVINO: must begin with <net"),
        (bytes(1000), "is no graph of ONNX, or cut off: its 1000 bytes|is no graph of OpenVINO: must begin with <net"),
        (b"\xff" * 1000, "is no graph of ONNX, or cut off: its 1000 bytes|is no graph of OpenVINO: must begin with <net"),
    ],
)
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_files_of_other_kinds(
    suffix: str, content: bytes, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for command in (["info", "--weights", str(path)], ["predict", "--weights", str(path), str(tmp_path / "a.png")]):
        assert main(command) == 3
        told = capfd.readouterr().err.splitlines()
        assert len(told) == 1
        with pytest.raises(DataError, match=rf"a\.\w+: ({message})"):
            raise DataError(told[0])


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2", ".safetensors"])
def test_what_is_no_file(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"gone\{suffix}: no such model file$"):
        resdet.load(tmp_path / f"gone{suffix}")
    (tmp_path / f"a{suffix}").mkdir()
    with pytest.raises(ConfigError, match=rf"a\{suffix}: is a folder, name the file in it$"):
        resdet.load(tmp_path / f"a{suffix}")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="all files can be read here")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    (folder / "a.onnx").chmod(0)
    with pytest.raises(DataError, match=r"a\.onnx: cannot be read: Permission denied"):
        resdet.load(folder / "a.onnx")


@pytest.mark.parametrize("change", ["opset", "ir", "operator"])
def test_a_foreign_graph_that_the_runtime_refuses_is_one_plain_line(change: str, tmp_path: Path) -> None:
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = (
        helper.make_node("Zork", ["x"], ["y"], domain="com.acme")
        if change == "operator"
        else helper.make_node("Relu", ["x"], ["y"])
    )
    opset = helper.make_opsetid("", 99 if change == "opset" else 18)
    graph = helper.make_graph([node], "g", sides[:1], sides[1:])
    model = helper.make_model(graph, opset_imports=[opset], ir_version=99 if change == "ir" else 8)
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(DataError, match=r"foreign\.onnx: ONNX Runtime cannot use it: [A-Z]") as told:
        resdet.load(tmp_path / "foreign.onnx")
    assert "onnxruntime_src" not in str(told.value)
    assert "\n" not in str(told.value)
