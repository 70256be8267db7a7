"""Exported files that are not what they say, and what exported models cannot do."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_classifiers
import tiny_detectors
from close_detections import assert_close_detections, edges_of
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import helper
from PIL import Image

import resdet
from resdet.cli import main
from resdet.errors import ConfigError, DataError
from resdet.export.export import export_file
from resdet.inference.exported.program import ExportFacts
from resdet.models.model_file import card_from_text

PHOTO = tiny_detectors.picture()
CARD: dict[str, Any] = {"task": "detection", "architecture": {}, "names": ["a"], "pixels": {}, "test": {}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    tiny_detectors.written(folder / "detector.safetensors", tiny_detectors.tiny_detector())
    tiny_classifiers.written(folder / "classifier.safetensors")
    for kind in ("detector", "classifier"):
        export_file(folder / f"{kind}.safetensors", folder / f"{kind}.onnx")
    return folder


@pytest.fixture
def changed(files: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the exported detector with another card, other facts, or any change of the model."""

    def change(card: Any = None, facts: Any = None, edit: Callable[[Any], object] | None = None) -> Path:
        model = onnx.load(files / "detector.onnx")
        metadata = {each.key: each.value for each in model.metadata_props}
        metadata["resdet_export"] = ExportFacts("fp32", resizes=False).to_text()  # without the checksum
        for key, new in (("resdet", card), ("resdet_export", facts)):
            if isinstance(new, dict):
                metadata[key] = json.dumps({**json.loads(metadata[key]), **new})
            elif new is not None:
                metadata[key] = new
        helper.set_model_props(model, metadata)
        if edit is not None:
            edit(model)
        onnx.save(model, tmp_path / "changed.onnx")
        return tmp_path / "changed.onnx"

    return change


def test_runtimes_told_their_makers_of_each_import(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    program = (
        "import sys; from resdet.inference.exported.runtimes import needed; needed('onnxruntime', ''); needed('openvino', ''); "
        "from openvino.tools.ovc import telemetry; sys.exit('stub' not in type(telemetry).__module__)"
    )
    # not CI, in which OpenVINO tells nothing
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=900, check=True)
    assert list(tmp_path.iterdir()) == [], "where ONNX Runtime and OpenVINO keep a number of who tells, and what is to be told"


@pytest.mark.parametrize(
    ("card", "facts", "message"),
    [
        ("{", None, r"changed\.onnx: its model card cannot be read"),
        ("[" * 100_000, None, r"changed\.onnx: its model card cannot be read"),
        ("[]", None, r"changed\.onnx: its model card cannot be read"),
        ({"task": "cooking"}, None, r"changed\.onnx: 'task' must be one of detection, .*got 'cooking'"),
        ({"task": "classification"}, None, r"changed\.onnx: its "),
        ({"architecture": {"nothing": 7}}, None, r"changed\.onnx: its card: "),
        ({"names": [1, 2, 3]}, None, r"changed\.onnx: its model card: 'names' must be texts"),
        ({"names": []}, None, r"changed\.onnx: its model card: 'names' must be texts"),
        ({"pixels": {"order": "RGB"}}, None, r"changed\.onnx: its model card: pixel convention: needs order, mean"),
        ({"test": {"short_side": "600"}}, None, r"changed\.onnx: its card: 'test\.short_side' must be 0 … 16384 .*'600'"),
        ({"test": {"short_side": 600, "max_side": -1}}, None, r"'test\.max_side' must be 1 … 16384 pixels, got -1"),
        ({"test": {"short_side": 40000, "max_side": 50}}, None, r"'test\.short_side' must be 0 … 16384 pixels, got 40000"),
        ({"format": "1"}, None, r"its model card cannot be read: 'format' must be a whole number, 1 or more, got '1'"),
        ({"format": 0}, None, r"its model card cannot be read: 'format' must be a whole number, 1 or more, got 0"),
        ({"more": 1}, None, r"changed\.onnx: its model card cannot be read: 'more' is no part of a card"),
        ({"names": 7, "test": None}, None, r"'names' must be a list, got 7\n.*: 'test' must be a dict, got None"),
        ('{"format": 1}', None, r"its model card cannot be read: 'task' is missing\n.*'architecture' is missing\n"),
        ({"format": 99}, None, r"changed\.onnx: model file format 99, this version reads up to 1"),
        (None, "null", r"changed\.onnx: what it says of its export cannot be read: must be a JSON object, got None"),
        (None, "{}", r"changed\.onnx: what it says of its export cannot be read"),
        (None, {"format": 1.5}, r"its export cannot be read: 'format' must be a whole number, 1 or more, got 1\.5"),
        (None, '{"format": 1, "resizes": true}', r"its export cannot be read: must have 'precision' and 'resizes', got "),
        (None, {"checksum": "1234567g"}, r"its export: 'checksum' must be 8 hexadecimal digits, got '1234567g'"),
        (None, {"format": 99}, r"changed\.onnx: format 99 of exported files, this version reads up to 1"),
        (None, {"precision": ["fp32"]}, r"changed\.onnx: its export: 'precision' must be one of fp32"),
        (None, {"resizes": "no"}, r"changed\.onnx: its export: .*'resizes' true or false, got 'fp32' and 'no'"),
        (None, {"resizes": True}, r"changed\.onnx: its inputs must be images, got images, sizes"),
    ],
)  # fmt: skip
def test_hostile_metadata(card: Any, facts: Any, message: str, changed: Callable[..., Path]) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        resdet.load(changed(card, facts))


def test_other_files(files: Path, tmp_path: Path, changed: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"gone\.onnx: no such model file"):
        resdet.load("gone.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(
        DataError, match=r"text\.onnx: is no graph of ONNX, or cut off: its 5 bytes are no whole message of Proto"
    ):
        resdet.load(tmp_path / "text.onnx")
    (tmp_path / "cut.onnx").write_bytes((files / "detector.onnx").read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"cut\.onnx: is no graph of ONNX, or cut off"):
        resdet.load(tmp_path / "cut.onnx")
    foreign = changed(edit=lambda model: model.metadata_props.pop())
    with pytest.raises(ConfigError, match=r"was not written by `resdet export`: it has no resdet_export metadata"):
        resdet.load(foreign)


def test_an_openvino_file_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "a.xml").write_text("<html/>")
    with pytest.raises(DataError, match=r"a\.xml: is a web page, saved in place of the file"):
        resdet.load(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text('<net version="1"><layers><layer id="0"/></layers></net>')
    with pytest.raises(DataError, match=r"a\.xml: OpenVINO cannot use it: (?!Exception|Check)"):
        resdet.load(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("labels", np.full((1, 60), 3), r"its labels must be in 0 … 2, got \[3"),
        ("labels", np.full((1, 60), -1), r"its labels must be in 0 … 2, got \[-1"),
        ("labels", np.full((1, 60), 0.5, np.float32), r"its output 'labels' must be numbers of kind 'i' with 2 sides"),
        ("counts", np.array([61]), r"its 'counts' must be in 0 … 60, got \[61\]"),
        ("counts", np.array([-1]), r"its 'counts' must be in 0 … 60, got \[-1\]"),
        ("counts", np.array([1, 1]), r"its outputs do not fit each other, nor 1 images"),
        ("boxes", np.zeros((1, 60, 5), np.float32), r"its outputs do not fit each other"),
        ("boxes", np.zeros((60, 4), np.float32), r"its output 'boxes' must be numbers of kind 'f' with 3 sides"),
    ],
)  # fmt: skip
def test_outputs_that_no_detector_gives(name: str, value: np.ndarray, message: str, changed: Callable[..., Path]) -> None:
    def edit(model: Any) -> None:
        graph = model.graph
        node = next(node for node in graph.node if node.output[0] == name)
        graph.node.remove(node)
        graph.node.append(helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value)))
        output = next(each for each in graph.output if each.name == name)
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        output.CopyFrom(helper.make_tensor_value_info(name, kind, [None] * value.ndim))

    detector = resdet.load_detector(changed(edit=edit))
    with pytest.raises(DataError, match=rf"changed\.onnx: {message}"):
        detector.predict(PHOTO)


def test_what_an_exported_model_cannot_do(files: Path, tmp_path: Path) -> None:
    path = files / "detector.onnx"
    with pytest.raises(ConfigError) as told:
        resdet.load([path, files / "detector.safetensors"], device="cuda", precision="bf16", compiled=True, test={"flip": True})
    assert [problem.partition(": ")[2].partition(",")[0] for problem in told.value.problems] == [
        "an exported file runs alone",
        "an exported file runs on the CPU here",
        "an exported file computes as it was exported: no other 'precision'",
        "its options of 'model.test' were fixed by `resdet export`",
    ]
    with pytest.raises(ConfigError, match="must hold a classifier, holds a detector, which load_detector reads"):
        resdet.load_classifier(path)
    with pytest.raises(ConfigError, match="must hold a detector, holds a classifier, which load_classifier reads"):
        resdet.load_detector(files / "classifier.onnx")
    for name in ("detector", "classifier"):
        with pytest.raises(ConfigError, match=rf"save: .*{name}\.onnx is an exported file"):
            resdet.save(resdet.load(files / f"{name}.onnx"), tmp_path / "again.safetensors")
    assert not (tmp_path / "again.safetensors").exists()


def test_a_missing_runtime_is_one_line(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    load = resdet.load
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"detector\.onnx: to run it needs the package onnxruntime: pip install 'resdet\[exp"):
        load(files / "detector.onnx")


def test_one_call(files: Path) -> None:
    found = resdet.predict(files / "detector.onnx", PHOTO)
    assert len(found) == len(resdet.predict(files / "detector.safetensors", PHOTO, device="cpu")) > 3


@pytest.mark.parametrize("kind", ["detector", "classifier"])
def test_an_onnx_file_in_both_runtimes(kind: str, files: Path) -> None:
    pytest.importorskip("openvino")
    found = [resdet.load(files / f"{kind}.onnx", runtime=each).predict(PHOTO) for each in ("onnxruntime", "openvino")]
    if kind == "classifier":
        assert found[0].scores == pytest.approx(found[1].scores, abs=1e-4)
    else:
        assert_close_detections(found[0], found[1], edges=edges_of(tiny_detectors.tiny_detector().roi_heads.postprocess))
    again = resdet.predict(files / f"{kind}.onnx", PHOTO, runtime="openvino")
    assert list(again.scores) == list(found[1].scores)


@pytest.mark.parametrize(
    ("name", "runtime", "message"),
    [
        ("detector.onnx", "torch", r"detector\.onnx: 'runtime' must be auto or onnxruntime or openvino, got 'torch'"),
        ("detector.safetensors", "onnxruntime", r"`resdet export .*detector\.safetensors .*detector\.onnx` writes one"),
        ("classifier.safetensors", "openvino", r"`resdet export .*classifier\.safetensors .*classifier\.xml` writes one"),
        ("detector.safetensors", "tvm", "'runtime' must be one of auto, torch, onnxruntime, openvino, got 'tvm'"),
    ],
)
def test_runtimes_that_cannot_run_a_file(name: str, runtime: str, message: str, files: Path) -> None:
    load = resdet.load_detector if name.startswith("detector") else resdet.load_classifier
    for each in (resdet.load, load):
        with pytest.raises(ConfigError, match=message):
            each(files / name, runtime=runtime)


def test_runtimes_of_the_commands(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    command = ["predict", "--output", str(tmp_path), str(tmp_path / "a.png"), "--runtime", "onnxruntime", "--weights"]
    assert main([*command, str(files / "detector.safetensors")]) == 2
    assert "onnxruntime runs exported files" in capsys.readouterr().err


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["format", "precision", "resizes", "task", "names", "pixels", "test"]), values), values)
def test_any_metadata(said: dict[str, Any], value: Any) -> None:
    """Each is read, or told as the file's."""
    path = Path("a.onnx")
    for text in (json.dumps(said), json.dumps(value), json.dumps(said)[:-2], json.dumps({**CARD, **said})):
        for read in (ExportFacts.from_text, card_from_text):
            try:
                told = f"a.onnx: {read(path, text)}"
            except (ConfigError, DataError) as error:
                told = str(error)
            assert "a.onnx" in told
            assert len(told) < 5000
