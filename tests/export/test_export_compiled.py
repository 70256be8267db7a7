"""Models as compiled ``.pt2`` files of AOTInductor.

A classifier; EXPORT_COMPILED=all takes a detector and a localizer too, two minutes of one core.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tiny_classifiers
import tiny_localizers
import torch
from tiny_detectors import picture, tiny_detector, written
from torch import _inductor

pytest.importorskip("onnx")  # which the other files of the room need

from graph_runs import as_batch
from program_runs import assert_same, assert_same_boxes, inputs, photo
from torch._inductor.cpp_builder import get_cpp_compiler

import resdet
from resdet.config.localization import LocalizerTestConfig
from resdet.errors import ConfigError, ResdetError
from resdet.export.export import export_file


def compiler_is_missing() -> bool:
    try:
        get_cpp_compiler()
    except RuntimeError:
        return True
    return False


compiles = pytest.mark.skipif(compiler_is_missing(), reason="needs a C++ compiler")
every = pytest.mark.skipif(os.environ.get("EXPORT_COMPILED") != "all", reason="takes minutes; EXPORT_COMPILED=all runs it")


def opened(path: Path) -> Any:
    return _inductor.aoti_load_package(str(path))


@compiles
@pytest.mark.slow
@torch.no_grad()
def test_a_classifier_s_file(tmp_path: Path) -> None:
    model = tiny_classifiers.tiny_classifier()
    source = tiny_classifiers.written(tmp_path / "model.safetensors", model)
    made = export_file(source, tmp_path / "model.pt2", compiled=True, images=[photo(tmp_path)])
    assert made.losses["same class"] == "1 of 1"
    program = opened(made.path)
    for count in (1, 3):
        images = torch.stack([picture(seed, 32, 32) for seed in range(count)])
        found = program(images.permute(0, 2, 3, 1).contiguous())
        torch.testing.assert_close(found["logits"], model(images), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found["probabilities"], found["logits"].softmax(1))
    assert json.loads(program.get_metadata()["resdet"])["names"] == list(model.names)
    assert json.loads(program.get_metadata()["resdet_export"])["precision"] == "fp32"
    with pytest.raises(ConfigError, match=r"torch\._inductor\.aoti_load_package\('.*model\.pt2'\) where it was compiled"):
        resdet.load(made.path)


@compiles
@every
@pytest.mark.slow
@torch.no_grad()
def test_a_detector_s_file(tmp_path: Path) -> None:
    model = tiny_detector()
    source = written(tmp_path / "model.safetensors", model)
    program = opened(export_file(source, tmp_path / "model.pt2", compiled=True).path)
    for images in ([picture(1, 17, 17)], [picture(1, 97, 131), picture(2, 75, 50), picture(3, 120, 33)]):
        assert assert_same(program(*inputs(images)), model, images)


@compiles
@every
@pytest.mark.slow
@torch.no_grad()
def test_a_localizer_s_file(tmp_path: Path) -> None:
    model, images = tiny_localizers.tiny_rpn(), [picture(1, 33, 80), picture(2, 33, 80), picture(3, 33, 80)]
    source = tiny_localizers.written(tmp_path / "model.safetensors", model)
    program = opened(export_file(source, tmp_path / "model.pt2", compiled=True).path)
    for count, classes in ((3, [[2], [0], [1]]), (1, [[0, 1, 2, 1]])):
        found = program(torch.from_numpy(as_batch(images[:count])), torch.tensor(classes))
        assert_same_boxes(found, model, LocalizerTestConfig().vote_iou, images[:count], classes)


def test_where_nothing_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = tiny_classifiers.written(tmp_path / "model.safetensors"), tmp_path / "model.pt2"
    monkeypatch.setenv("CXX", "/nowhere/g++")  # Windows
    with (
        _inductor.config.patch({"cpp.cxx": ("/nowhere/g++",)}),
        pytest.raises(ConfigError, match=r"'compile' needs a C\+\+ compiler"),
    ):
        export_file(source, destination, compiled=True)
    monkeypatch.delattr(_inductor, "aoti_compile_and_package")
    with pytest.raises(ConfigError, match=r"'compile': torch .* has no torch\._inductor\.aoti_compile_and_package"):
        export_file(source, destination, compiled=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.safetensors"]


@compiles
def test_a_compiler_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("C++ compile error")

    monkeypatch.setattr(_inductor, "aoti_compile_and_package", broken)
    source = tiny_classifiers.written(tmp_path / "model.safetensors")
    with pytest.raises(ResdetError, match=r"model\.safetensors: torch .* cannot export it: C\+\+ compile error"):
        export_file(source, tmp_path / "model.pt2", compiled=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.safetensors"]


def test_only_pt2_is_compiled(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.onnx: 'compile' is for \.pt2 files"):
        export_file(tmp_path / "model.safetensors", tmp_path / "a.onnx", compiled=True)
