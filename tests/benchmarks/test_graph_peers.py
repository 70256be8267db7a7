"""ONNX Runtime and OpenVINO compute what torch computes of a detector, or the benchmark does not go on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from tiny_detectors import tiny_detector

from resdet.models.detection.faster_rcnn import FasterRCNN


@pytest.fixture(scope="module")
def peers(script_module: Callable[[str], ModuleType]) -> ModuleType:
    return script_module("graph_peers")


def given() -> tuple[FasterRCNN, torch.Tensor, torch.Tensor]:
    """A detector, a normalized image, and regions of it, one of them reaching over its edge."""
    regions = torch.tensor([[3.0, 5, 40, 60], [10, 0, 75, 33], [50, 20, 99, 64]])
    return tiny_detector(backbone={"name": "resnet50", "width": 8}), torch.randn(3, 64, 80), regions


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_runtime_gives_torch_s_numbers(peers: ModuleType, runtime: str, threads: int) -> None:
    pytest.importorskip(runtime)
    detector, pixels, regions = given()
    proposing, classifying = peers.graph_ways(detector, pixels, regions, threads)[runtime]()
    with torch.no_grad():
        features = detector.trunk(pixels[None])
        expected = features, *detector.rpn.head(features), *detector.roi_heads(features, [regions], [(64, 80)])
    for found, other in zip((*proposing, *classifying), expected, strict=True):
        torch.testing.assert_close(found, other, rtol=0, atol=1e-4 * float(other.abs().max()))


def test_only_what_is_installed_is_a_way(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "RUNTIMES", {"no_such_runtime": None})
    assert peers.graph_ways(*given(), 1) == {}


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs ONNX Runtime, resdet[bench]")
@pytest.mark.parametrize(("part", "message"), [(0, "trunk and RPN head"), (1, "regions")])
def test_other_numbers_end_the_benchmark(peers: ModuleType, monkeypatch: pytest.MonkeyPatch, part: int, message: str) -> None:
    built: list[int] = []

    def build(graph: bytes, threads: int) -> Callable[[object], object]:
        run, wrong = peers._onnxruntime(graph, threads), len(built) == part
        built.append(threads)
        return lambda inputs: [each + 0.01 * wrong * each.abs().max() for each in run(inputs)]

    monkeypatch.setattr(peers, "RUNTIMES", {"onnxruntime": build})
    with pytest.raises(SystemExit, match=f"onnxruntime, {message}: gives other numbers than torch"):
        peers.graph_ways(*given(), 1)


def test_shapes_are_compared_too(peers: ModuleType) -> None:
    with pytest.raises(SystemExit, match="x: gives other numbers"):
        peers.check("x", [torch.ones(3)], [torch.ones(1, 3)])
    with pytest.raises(SystemExit):
        peers.check("x", [torch.tensor([1.0, torch.nan])], [torch.ones(2)])
    peers.check("x", [torch.tensor([1.0, 2.0001])], [torch.tensor([1.0, 2.0])])
