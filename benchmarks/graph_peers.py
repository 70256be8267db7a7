"""ONNX Runtime and OpenVINO on the parts of a detector that are graphs of fixed shapes: trunk with RPN head, and the regions.

What is between and behind the two, proposals, NMS and boxes, they do not do here: the regions are given.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
from machine import installed
from torch import Tensor, nn

from resdet.inference.exported.runtimes import openvino_core
from resdet.models.detection.faster_rcnn import FasterRCNN

Compiled = Callable[[Sequence[Tensor]], Sequence[Tensor]]  # inputs of a graph to its outputs
OPSET = 17  # RoiAlign samples at half pixels from 16 on
TOLERANCE = 1e-4  # of the outputs' greatest absolute value


class Proposing(nn.Module):
    """Trunk and RPN head."""

    def __init__(self, detector: FasterRCNN) -> None:
        super().__init__()
        self.trunk, self.head = detector.trunk, detector.rpn.head

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Normalized images (1, 3, H, W) to the C4 map, and every anchor's logit and deltas."""
        features = self.trunk(pixels)
        return features, *self.head(features)


class Regions(nn.Module):
    """RoIAlign, conv5, mean, sibling layers, for images of one size (height, width)."""

    def __init__(self, detector: FasterRCNN, size: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.size = detector.roi_heads, size

    def forward(self, features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """The C4 map and regions (R, 4) in pixels to the regions' logits and deltas."""
        return self.heads(features, [regions], [self.size])


@torch.no_grad()
def graph_ways(detector: FasterRCNN, pixels: Tensor, regions: Tensor, threads: int) -> dict[str, Callable[[], object]]:
    """Both graphs, one after the other, by each runtime that is installed; exits when one gives other numbers than torch.

    Args:
        detector: the plain one, in eval mode.
        pixels: a normalized image (3, H, W).
        regions: float32 (R, 4) ``xyxy`` in its pixels.
        threads: that the runtimes compute with.
    """
    runtimes = {name: build for name, build in RUNTIMES.items() if installed(name) and installed("onnx")}
    first, second = Proposing(detector), Regions(detector, (pixels.shape[1], pixels.shape[2]))
    expected = first(pixels[None])
    inputs = ((pixels[None],), (expected[0], regions))
    graphs = [exported(module, given) for module, given in zip((first, second), inputs, strict=True)] if runtimes else []
    ways = {}
    for name, build in runtimes.items():
        proposing, classifying = (build(graph, threads) for graph in graphs)
        check(f"{name}, trunk and RPN head", proposing(inputs[0]), expected)
        check(f"{name}, regions", classifying(inputs[1]), second(*inputs[1]))
        ways[name] = lambda proposing=proposing, classifying=classifying: (proposing(inputs[0]), classifying(inputs[1]))
    return ways


def exported(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    """The module as an ONNX file for inputs of these shapes."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # tracing takes sizes as constants, as it is meant to; the exporter is called the old one
        torch.onnx.export(module.eval(), inputs, file, opset_version=OPSET, dynamo=False)
    return file.getvalue()


def check(what: str, found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Exit when outputs differ by more than rounding."""
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape or not float((one - other).abs().max()) <= TOLERANCE * float(other.abs().max()):
            raise SystemExit(f"{what}: gives other numbers than torch")


def _onnxruntime(graph: bytes, threads: int) -> Compiled:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.force_spinning_stop", "1")  # threads that wait would count as other ways' time
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        given = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return [torch.from_numpy(each) for each in session.run(None, given)]

    return run


def _openvino(graph: bytes, threads: int) -> Compiled:
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    core = openvino_core("this benchmark")
    request = core.compile_model(core.read_model(io.BytesIO(graph)), "CPU", options).create_infer_request()

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        found = request.infer([each.numpy() for each in inputs], share_inputs=True)
        return [torch.from_numpy(each) for each in found.values()]

    return run


RUNTIMES: Mapping[str, Callable[[bytes, int], Compiled]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}
