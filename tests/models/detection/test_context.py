"""Global context against the same arithmetic written out on torch.nn.functional."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from resdet.config.schema import DetectionTestConfig, RoIConfig
from resdet.models.build.detector import build_postprocess, build_roi_heads
from resdet.models.detection.context import join_context, whole_image_boxes
from resdet.models.detection.roi_heads import RoIHeads
from resdet.structures import Target, TargetBatch

CLASSES = 3
SIZES = [(64, 96), (48, 80)]  # the second image is padded to the first's size


@pytest.fixture
def heads() -> RoIHeads:
    torch.manual_seed(0)
    res5 = nn.Conv2d(6, 5, 3, stride=2, padding=1)
    return build_heads(res5, context=True)


def build_heads(res5: nn.Module, *, context: bool) -> RoIHeads:
    postprocess = build_postprocess(DetectionTestConfig())
    return build_roi_heads(RoIConfig(pooled_size=4, context=context), res5, CLASSES, 1 / 16, postprocess)


def by_hand(heads: RoIHeads, features: Tensor, boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    def average(image: int, rows: Tensor) -> Tensor:
        pooled = roi_align(features[image : image + 1], [rows], 4, 1 / 16, 0, aligned=True)
        return F.conv2d(pooled, heads.res5.weight, heads.res5.bias, 2, 1).flatten(2).mean(2)

    rows = []
    for image, (height, width) in enumerate(SIZES):
        whole = average(image, torch.tensor([[0.0, 0.0, width, height]]))[0]
        rows += [torch.cat([region, whole]) for region in average(image, boxes[image])]
    joined = torch.stack(rows)
    predictor = heads.predictor
    logits = F.linear(joined, predictor.cls_score.weight, predictor.cls_score.bias)
    return logits, F.linear(joined, predictor.bbox_pred.weight, predictor.bbox_pred.bias).reshape(-1, CLASSES, 4)


def test_region_and_whole_image_stand_side_by_side(heads: RoIHeads) -> None:
    features = torch.randn(2, 6, 4, 6)
    boxes = [torch.tensor([[4.0, 5, 40, 50], [0, 0, 90, 60]]), torch.tensor([[10.0, 10, 20, 40]])]
    for ours, expected in zip(heads(features, boxes, SIZES), by_hand(heads, features, boxes), strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_whole_image_is_a_region_without_the_padding() -> None:
    boxes = whole_image_boxes(SIZES, torch.zeros(1))
    assert [box.tolist() for box in boxes] == [[[0, 0, 96, 64]], [[0, 0, 80, 48]]]


def test_each_region_gets_its_own_image() -> None:
    regions, context = torch.tensor([[1.0], [2], [3]]), torch.tensor([[10.0], [20], [30]])
    assert join_context(regions, context, [2, 0, 1]).tolist() == [[1, 10], [2, 10], [3, 30]]
    assert join_context(regions[:0], context, [0, 0, 0]).shape == (0, 2)


def test_context_is_trained_through_both_halves(heads: RoIHeads) -> None:
    features = torch.randn(1, 6, 4, 6, requires_grad=True)
    target = Target(torch.tensor([[50.0, 30, 90, 60]]), torch.tensor([1]), (64, 96))
    regions = heads.sample_regions([torch.tensor([[50.0, 30, 90, 60]])], TargetBatch.from_targets([target]))
    sum(heads.losses(features, regions).values()).backward()
    gradients = heads.predictor.cls_score.weight.grad.split(5, dim=1)
    assert all(half.abs().sum() > 0 for half in gradients)
    # the regions lie at the lower right; only the whole image reaches the upper left
    assert features.grad[..., 0, 0].abs().sum() > 0


def test_zero_weights_on_the_context_are_the_detector_without_it(heads: RoIHeads) -> None:
    plain = build_heads(heads.res5, context=False)
    with torch.no_grad():
        for ours, theirs in zip(heads.predictor.children(), plain.predictor.children(), strict=True):
            ours.weight[:, 5:] = 0
            theirs.weight.copy_(ours.weight[:, :5])
            theirs.bias.copy_(ours.bias)
    features, boxes = torch.randn(2, 6, 4, 6), [torch.tensor([[4.0, 5, 40, 50]]), torch.zeros(0, 4)]
    for ours, theirs in zip(heads(features, boxes, SIZES), plain(features, boxes, SIZES), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_no_region_at_all(heads: RoIHeads) -> None:
    (first, second) = heads.detect(torch.randn(2, 6, 4, 6), [torch.zeros(0, 4)] * 2, SIZES)
    assert len(first) == len(second) == 0
