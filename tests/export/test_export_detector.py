"""The graph of a whole detector finds what the detector finds, in both runtimes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from close_detections import assert_close_detections, edges_of
from tiny_detectors import picture, tiny_detector
from torch import nn

onnx = pytest.importorskip("onnx")

from graph_runs import RUNTIMES, as_batch, detections, run_graph  # noqa: E402

from resdet.errors import ConfigError  # noqa: E402
from resdet.export.detector import detector_graph  # noqa: E402
from resdet.models.detection.faster_rcnn import FasterRCNN  # noqa: E402
from resdet.structures import PIXEL_CONVENTIONS  # noqa: E402

ALONE = [picture(2, 97, 131)]
BATCH = [picture(3, 64, 96), picture(4, 50, 120), picture(5, 111, 33)]  # three sizes, padded to a fourth

DETECTORS: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "resnet50": {"backbone": {"name": "resnet50"}},
    "stride in the 1x1": {"backbone": {"name": "resnet50", "stride_in_1x1": True}},
    "pre-activation": {"backbone": {"name": "preact_resnet18"}},
    "zero-padded shortcuts": {"backbone": {"name": "resnet18", "shortcut": "A"}},
    "deep stem, averaged shortcuts": {"backbone": {"name": "resnet18d"}},
    "grouped": {"backbone": {"name": "resnext50_32x4d", "width": 32}},
    "context": {"roi": {"context": True}},
    "RoI pooling": {"roi": {"pooling": "pool"}},
    "RoIAlign half a pixel off, rounded anchors": {"roi": {"pooling": "align_v1"}, "anchors": {"rounded": True}},
    "two samples a bin": {"roi": {"sampling_ratio": 2, "pooled_size": 8}},
    "one proposal": {"rpn": {"post_nms_top_n_test": 1}},
    "few proposals of few anchors": {"rpn": {"pre_nms_top_n_test": 10, "post_nms_top_n_test": 200}},
    "large proposals alone": {"rpn": {"min_size": 16.0}},
    "a few of many": {"test": {"score_thresh": 0.0, "nms_thresh": 0.9, "detections_per_image": 7}},
}


def assert_same(model: FasterRCNN, images: list[torch.Tensor], runtime: str) -> list[int]:
    """Fail where the graph finds something else than the model; the numbers of detections."""
    sizes = np.array([image.shape[1:] for image in images], np.int64)
    inputs = {"images": as_batch(images, filling=99), "sizes": sizes}
    found = run_graph(detector_graph(model, np.float32, None), inputs, runtime)
    expected = model.detect(images)
    for row, each in enumerate(expected):
        assert_close_detections(detections(found, row), each, edges=edges_of(model.roi_heads.postprocess))
    for name, rest in (("boxes", 0), ("scores", 0), ("labels", -1)):  # what lies behind an image's own
        for row, count in enumerate(found["counts"].tolist()):
            assert (found[name][row, count:] == rest).all()
    return [len(each) for each in expected]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", DETECTORS)
def test_the_graph_finds_what_the_detector_finds(kind: str, runtime: str) -> None:
    model = tiny_detector(**{name: dict(section) for name, section in DETECTORS[kind].items()})
    assert sum(assert_same(model, ALONE, runtime)) > 0
    assert sum(assert_same(model, BATCH, runtime)) > 3


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_nothing_proposed_and_nothing_sure_enough(runtime: str) -> None:
    assert assert_same(tiny_detector(rpn={"min_size": 1000.0}), BATCH, runtime) == [0, 0, 0]
    assert assert_same(tiny_detector(rpn={"min_size": 1000.0}, roi={"context": True}), ALONE, runtime) == [0]
    assert assert_same(tiny_detector(test={"score_thresh": 0.9999999}), BATCH, runtime) == [0, 0, 0]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_without_proposals_beside_one_that_has_some(runtime: str) -> None:
    model = tiny_detector(rpn={"min_size": 25.0})
    counts = assert_same(model, [picture(3, 96, 128), picture(4, 24, 33)], runtime)
    assert counts[0] > 0
    assert counts[1] == 0


def test_pixels_of_another_convention() -> None:
    model = tiny_detector()
    model.pixels = PIXEL_CONVENTIONS["msra"]
    assert sum(assert_same(model, BATCH, "onnxruntime")) > 3


def test_scores_and_boxes_that_are_not_finite_are_left_out_by_both() -> None:
    model = tiny_detector()
    with torch.no_grad():
        model.roi_heads.predictor.bbox_pred.weight[:4] *= 1e38  # of the first class
    counts = assert_same(model, ALONE, "onnxruntime")
    assert counts[0] > 0
    assert not (model.detect(ALONE)[0].labels == 0).all()


def test_another_network_s_graph_finds_something_else() -> None:
    model, other = tiny_detector(0), tiny_detector(1)
    found = run_graph(
        detector_graph(other, np.float32, None),
        {"images": as_batch(ALONE), "sizes": np.array([ALONE[0].shape[1:]], np.int64)},
        "onnxruntime",
    )
    with pytest.raises(AssertionError, match="not found"):
        assert_close_detections(detections(found, 0), model.detect(ALONE)[0])


def test_the_file_is_checked_and_its_sides_are_free() -> None:
    model = detector_graph(tiny_detector(), np.float32, None).model({"a": "b"})
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    assert {each.key: each.value for each in model.metadata_props} == {"a": "b"}
    sides = {
        each.name: [side.dim_param or side.dim_value for side in each.type.tensor_type.shape.dim] for each in model.graph.input
    }
    assert sides == {"images": ["batch", "height", "width", 3], "sizes": ["batch", 2]}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_layers_in_16_bits(runtime: str) -> None:
    model = tiny_detector(roi={"context": True})
    graph = detector_graph(model, np.float16, None)
    inputs = {"images": as_batch(ALONE), "sizes": np.array([ALONE[0].shape[1:]], np.int64)}
    found, whole = run_graph(graph, inputs, runtime), detector_graph(model, np.float32, None).model({})
    assert graph.model({}).ByteSize() < 0.65 * whole.ByteSize()
    # 18 layers of roundings of 2^-11 each, at scores that move by a quarter of a logit
    assert_close_detections(detections(found, 0), model.detect(ALONE)[0], scores=0.02, boxes=1.0)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("size", [(97, 131), (131, 97), (64, 96)])
def test_a_picture_of_any_size_in_its_own_pixels(runtime: str, size: tuple[int, int]) -> None:
    from resdet.inference.detector import Detector

    model, image = tiny_detector(), picture(6, *size)
    found = run_graph(detector_graph(model, np.float32, (64, 96)), {"images": as_batch([image] * 2)}, runtime)
    expected = Detector(model, short_side=64, max_side=96).predict(image)
    assert len(expected) > 3
    for row in range(2):
        assert_close_detections(detections(found, row), expected, edges=edges_of(model.roi_heads.postprocess))


class Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cosh(x)


def test_what_cannot_be_written_is_named() -> None:
    model = tiny_detector()
    model.trunk.layer1[0].relu = nn.GELU()
    with pytest.raises(ConfigError, match=r"layer 'layer1\.0\.relu' is a GELU, which it cannot write"):
        detector_graph(model, np.float32, None)
    model.trunk.layer1[0].relu = Doubled()
    with pytest.raises(ConfigError, match="calls 'cosh', which it cannot write"):
        detector_graph(model, np.float32, None)
    model.trunk.layer1[0].relu = nn.ReLU()
    model.trunk.layer1[0].conv1.padding_mode = "reflect"
    with pytest.raises(ConfigError, match=r"must be padded by a number of zeros, got .*reflect"):
        detector_graph(model, np.float32, None)
    plain = tiny_detector()
    plain.roi_heads.pooler = nn.Identity()
    with pytest.raises(ConfigError, match=r"must be pooled by RoIAlign or RoIPool, got Identity"):
        detector_graph(plain, np.float32, None)
