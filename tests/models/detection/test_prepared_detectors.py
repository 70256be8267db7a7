"""A prepared detector gives the plain one's results: every kind of network, every improvement."""

from pathlib import Path
from typing import Any

import pytest
import torch
from close_detections import Edges, assert_close_detections
from PIL import Image
from rounding import ALGEBRA, assert_near
from tiny_detectors import NAMES, picture, spread_outputs, tiny_detector
from torch import nn
from torchvision.transforms.v2.functional import pil_to_tensor

from resdet.config.schema import BackboneConfig, DetectorConfig, RPNConfig
from resdet.inference.detector import Improvements, detect_image
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.prepared.compiled import Compiled
from resdet.models.detection.prepared.fold import FoldedTrunk
from resdet.models.detection.prepared.prepare import FoldedRegions
from resdet.models.detection.prepared.regions import RowsRegions
from resdet.models.detection.prepared.trunk import RowsTrunk
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.ops.products import has_bfloat16
from resdet.structures import Detections, ImageBatch

BOTTLENECK = {"backbone": {"name": "resnet50"}}
IN_1X1 = {"backbone": {"name": "resnet50", "stride_in_1x1": True}}
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "bottleneck": BOTTLENECK,
    "stride in the 1x1": IN_1X1,
    "basic": {},
    "plain": {"backbone": {"name": "plain18", "shortcut": "none"}},
    "pre-activation": {"backbone": {"name": "preact_resnet18"}},
    "pre-activation bottleneck": {"backbone": {"name": "preact_resnet50"}},
    "padded shortcuts": {"backbone": {"name": "resnet50", "shortcut": "A"}},
    "projections": {"backbone": {"name": "resnet50", "shortcut": "C"}},
    "pooled 7": {**IN_1X1, "roi": {"pooled_size": 7}},
    "pooled 7, stride in the 3x3": {**BOTTLENECK, "roi": {"pooled_size": 7}},
    "two samples": {**IN_1X1, "roi": {"sampling_ratio": 2}},
    "RoI pooling": {**IN_1X1, "roi": {"pooling": "pool"}},
    "RoIAlign half a pixel off": {**IN_1X1, "roi": {"pooling": "align_v1"}},
    "context": {**IN_1X1, "roi": {"context": True}},
    "groups": {"backbone": {"name": "resnext50_32x4d", "width": 16}},
    "groups, stride in the 1x1": {"backbone": {"name": "resnext50_32x4d", "width": 16, "stride_in_1x1": True}},
    "wide": {"backbone": {"name": "wide_resnet50_2"}},
    "ResNet-D": {"backbone": {"name": "resnet50d"}},
    "ResNet-D of basic blocks": {"backbone": {"name": "resnet18d"}},
}
ON_ROWS = {"bottleneck", "stride in the 1x1", "pooled 7", "pooled 7, stride in the 3x3", "two samples", "context"}
ON_ROWS |= {"RoIAlign half a pixel off"}
ON_ROWS |= {"groups", "groups, stride in the 1x1", "wide"}


def with_statistics(model: FasterRCNN) -> FasterRCNN:
    """BN that does something, and whose residual sums stay tame."""
    torch.manual_seed(1)
    for norm in (part for part in model.modules() if isinstance(part, FrozenBatchNorm2d)):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.8, 1.25)
        norm.bias.normal_(std=0.1)
        norm.weight.uniform_(0.3, 0.8)
    return spread_outputs(model)


def pair(**changes: dict[str, Any]) -> tuple[FasterRCNN, FasterRCNN]:
    model = with_statistics(tiny_detector(**changes))
    return model, model.prepare()


def assert_same(found: Detections, expected: Detections, scores: float = 1e-4) -> None:
    # what untrained networks say varies by a thousandth of itself, and is spread by as much: their scores are not known better
    assert_close_detections(found, expected, scores=scores, boxes=1e-3, edges=Edges(score=0.05, nms=0.5, limit=100))


# RoI pooling rounds regions: those of two networks that are equal but for rounding may fall to different sides
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "RoI pooling"])
def test_detections_of_a_batch_of_images_of_different_sizes(kind: str) -> None:
    plain, prepared = pair(**KINDS[kind])
    images = [picture(1, 96, 128), picture(2, 70, 100)]
    found, expected = prepared.detect(images), plain.detect(images)
    assert sum(map(len, expected)) > 5
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    for (boxes, logits), (other, others) in zip(prepared.propose(images), plain.propose(images), strict=True):
        one, another = ((*each, torch.zeros(len(each[1]))) for each in ((boxes, logits), (other, others)))
        assert_close_detections(one, another, scores=1e-4, boxes=1e-3, edges=Edges(nms=0.7, limit=20))


@pytest.mark.parametrize("kind", KINDS)
def test_networks_take_the_way_that_is_meant_for_them(kind: str) -> None:
    _, prepared = pair(**KINDS[kind])
    regions = getattr(prepared.roi_heads, "regions")  # noqa: B009 - not of the plain heads
    assert isinstance(regions, RowsRegions if kind in ON_ROWS else FoldedRegions)
    rows = kind in {*ON_ROWS, "projections", "RoI pooling", "ResNet-D"}
    assert isinstance(prepared.trunk, RowsTrunk if rows else FoldedTrunk)
    assert not any(isinstance(part, (FrozenBatchNorm2d, nn.BatchNorm2d)) for part in prepared.modules())


@pytest.mark.parametrize(
    "kind",
    ["stride in the 1x1", "bottleneck", "basic", "RoI pooling", "groups", "wide", "ResNet-D", "ResNet-D of basic blocks"],
)
@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (3, 130)])
def test_features_of_any_regions_in_float64(kind: str, counts: tuple[int, int]) -> None:
    model = with_statistics(tiny_detector(**KINDS[kind])).double()
    prepared = model.prepare()
    torch.manual_seed(2)
    features = torch.randn(2, model.rpn.head.conv.in_channels, 6, 8).double()
    boxes = []
    for count in counts:
        corner = torch.rand(count, 2).double() * 160 - 30
        boxes.append(torch.cat([corner, corner + torch.rand(count, 2).double() ** 3 * 200], 1))
    with torch.no_grad():
        expected = model.roi_heads.region_maps(features, boxes).mean((2, 3)) if sum(counts) else None
        found = prepared.roi_heads.region_features(features, boxes)
        for one, other in zip(prepared.rpn.head(features), model.rpn.head(features), strict=True):
            assert_near(one, other, ALGEBRA)
        x = torch.randn(1, 3, 75, 110).double()
        assert_near(prepared.trunk(x), model.trunk(x), ALGEBRA)
    if expected is None:
        assert found.shape == (0, model.roi_heads.predictor.cls_score.in_features)
    else:
        assert_near(found, expected, ALGEBRA)


@pytest.mark.parametrize(
    "improvements", [Improvements(refine=True), Improvements(flip=True), Improvements(refine=True, short_sides=(48, 80))]
)
@pytest.mark.parametrize("kind", ["context", "bottleneck"])
def test_the_improvements_and_ensembles_run_on_it(kind: str, improvements: Improvements) -> None:
    plain, prepared = pair(**KINDS[kind])
    other, other_prepared = pair(backbone={"name": "resnet18"})
    image = picture(3, 64, 96)
    pyramid = [picture(3, side, side * 3 // 2) for side in improvements.short_sides]
    expected = detect_image([plain, other], image, improvements, pyramid=pyramid)
    assert len(expected) > 3
    assert_same(detect_image([prepared, other_prepared], image, improvements, pyramid=pyramid), expected)
    given = torch.tensor([[0.0, 0, 96, 64], [-5, -5, 20, 30], [90, 60, 96, 64], [10, 10, 10.5, 10.5]])
    expected = detect_image([plain], image, improvements, pyramid=pyramid, proposals=given)
    assert_same(detect_image([prepared], image, improvements, pyramid=pyramid, proposals=given), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["bottleneck", "stride in the 1x1", "pre-activation", "RoI pooling", "context", "ResNet-D"])
def test_convolutions_in_16_bits_and_islands_in_32(kind: str, dtype: torch.dtype) -> None:
    plain, _ = pair(**KINDS[kind])
    prepared = plain.prepare(dtype)
    # layers are what other processors and float16 have
    rows = dtype == torch.bfloat16 and has_bfloat16()
    assert isinstance(prepared.trunk, RowsTrunk if rows and kind != "pre-activation" else FoldedTrunk)
    assert isinstance(prepared.roi_heads.regions, RowsRegions if rows and kind in ON_ROWS else FoldedRegions)
    convolutions = [part for part in prepared.modules() if isinstance(part, nn.Conv2d)]
    assert bool(convolutions) == (not rows or kind not in ON_ROWS)
    assert {part.weight.dtype for part in convolutions} <= {dtype}
    assert {tensor.dtype for tensor in prepared.trunk.state_dict().values()} == {dtype}
    assert {parameter.dtype for parameter in prepared.roi_heads.predictor.parameters()} == {torch.float32}
    images = [picture(1, 96, 128), picture(2, 70, 100)]
    batch = ImageBatch.from_images(images, plain.pixels)
    boxes = [torch.tensor([[0.0, 0, 60, 60], [20, 30, 128, 96]]), torch.tensor([[5.0, 5, 50, 65]])]
    with torch.no_grad():
        map_, expected = prepared.trunk(batch.tensor), plain.trunk(batch.tensor)
        assert map_.dtype == dtype
        close(map_, expected)
        for found, full in zip(prepared.rpn.head(expected.to(dtype)), plain.rpn.head(expected), strict=True):
            assert found.dtype == torch.float32
            close(found, full)
        found, full = (model.roi_heads.region_features(expected, boxes) for model in (prepared, plain))
        assert found.dtype == torch.float32
        close(found, full)
        assert {each.dtype for each in prepared.roi_heads(expected, boxes, batch.sizes)} == {torch.float32}
    for detections in prepared.detect(images):
        assert len(detections)
        assert (detections.boxes.dtype, detections.scores.dtype) == (torch.float32, torch.float32)
        assert detections.boxes.isfinite().all()


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """The rounding of 8 bits of some tens of layers."""
    assert found.shape == expected.shape
    assert (found.float() - expected).norm() <= 0.03 * expected.norm()


@pytest.mark.slow
def test_compiled_layers_give_the_same() -> None:
    plain, prepared = pair()
    compiled = plain.prepare(compiled=True)
    for size in ((96, 128), (70, 100)):  # the second one asks for code of any shape
        batch = ImageBatch.from_images([picture(1, *size)], plain.pixels)
        boxes = [torch.tensor([[0.0, 0, 60, 60], [20, 30, 128, 96], [1, 1, 9, 9]])[: size[0] // 32]]
        with torch.no_grad():
            features = prepared.trunk(batch.tensor)
            torch.testing.assert_close(compiled.trunk(batch.tensor), features, rtol=1e-4, atol=1e-4)
            found, expected = (model.rpn.head(features) for model in (compiled, prepared))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
            found, expected = (model.roi_heads(features, boxes, batch.sizes) for model in (compiled, prepared))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert_same(compiled.detect([picture(1, *size)])[0], prepared.detect([picture(1, *size)])[0])


def test_it_shares_nothing_and_does_not_train() -> None:
    plain, prepared = pair(**IN_1X1)
    mine = {tensor.data_ptr() for tensor in (*plain.parameters(), *plain.buffers())}
    assert not any(tensor.data_ptr() in mine for tensor in (*prepared.parameters(), *prepared.buffers()))
    before = prepared.detect([picture()])[0]
    with torch.no_grad():
        for tensor in plain.parameters():
            tensor.zero_()
    assert torch.equal(prepared.detect([picture()])[0].scores, before.scores)
    assert prepared.prepare() is prepared
    for options in ({"dtype": torch.bfloat16}, {"compiled": True}):
        with pytest.raises(RuntimeError, match="prepare the plain one"):
            prepared.prepare(**options)
    assert isinstance(plain.prepare(torch.float32).trunk, RowsTrunk)
    assert not prepared.training
    assert prepared.names == tuple(NAMES)
    assert prepared.device == plain.device
    with pytest.raises(RuntimeError, match="a prepared detector does not train"):
        prepared.losses([], [])


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.filterwarnings("ignore:frozen BN")
@pytest.mark.parametrize(
    ("name", "file", "stride_in_1x1"),
    [
        ("resnet18", "resnet18_imagenet_pq.fp16.pth", False),
        ("resnet50", "resnet50_msra_bgr_stride_in_1x1.fp16.pth", True),
    ],
)
def test_trained_weights_on_photos(shared_data: Path, name: str, file: str, stride_in_1x1: bool) -> None:
    pixels = "msra" if stride_in_1x1 else "torchvision"
    backbone = BackboneConfig(name, str(shared_data / "weights" / file), pixels, stride_in_1x1)
    torch.manual_seed(0)
    plain = build_detector(DetectorConfig(backbone=backbone, rpn=RPNConfig(post_nms_top_n_test=40)), NAMES).eval()
    prepared = plain.prepare()
    for path in sorted((shared_data / "coco_mini/val2017").glob("*.jpg"))[:2]:
        image = pil_to_tensor(Image.open(path).convert("RGB").resize((320, 224), Image.Resampling.BILINEAR))
        assert_same(prepared.detect([image])[0], plain.detect([image])[0], scores=1e-5)
        x = plain.pixels.normalize(image)[None]
        with torch.no_grad():
            expected, found = plain.trunk(x), prepared.trunk(x)
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.slow
def test_results_of_graphs_are_kept() -> None:
    layer = nn.Conv2d(3, 4, 1)
    compiled = Compiled(layer, graphs=True)  # which a CPU has none of: torch leaves them out
    x, y = torch.randn(2, 1, 3, 8, 8)
    with torch.no_grad():
        found, others = compiled(x), compiled(y)
        torch.testing.assert_close(found, layer(x))
        torch.testing.assert_close(others, layer(y))


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_a_gpu_s_forms_give_the_same(dtype: torch.dtype | None) -> None:
    plain, _ = pair()
    plain = plain.cuda()
    prepared, compiled = plain.prepare(dtype), plain.prepare(dtype, compiled=True)
    pixels = [torch.randn(1, 3, *size, device="cuda") for size in ((96, 128), (96, 128), (64, 96))]
    with torch.no_grad():
        found = [compiled.trunk(each) for each in pixels]  # kept while the next ones run
        for one, each in zip(found, pixels, strict=True):
            close(prepared.trunk(each), plain.trunk(each))
            close(one, plain.trunk(each))
    assert len(compiled.detect([picture(1, 96, 128)])[0])
