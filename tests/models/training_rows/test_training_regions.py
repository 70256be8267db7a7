"""The region classifier's short way in training against torchvision's RoIAlign and the plain conv5."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from rounding import ALGEBRA, assert_near
from tiny_detectors import tiny_detector
from torch import Tensor

from resdet.models.detection import roi_heads
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.region_rows import Fourier, region_rows_fit
from resdet.ops.frozen_bn import FrozenBatchNorm2d

# inside, over the border, outside, tiny, huge, empty
BOXES = [
    torch.tensor([[10.0, 20, 60, 80], [-30, 5, 80, 50], [300, 300, 400, 400], [7, 7, 7.5, 7.5], [-900, -900, 900, 900]]),
    torch.tensor([[5.0, 5, 130, 60], [20, 20, 20, 20]]),
]


def detector(**changes: dict[str, Any]) -> FasterRCNN:
    model = tiny_detector(**{"backbone": {"name": "resnet50", "width": 8}, **changes})
    torch.manual_seed(1)
    for norm in model.modules():
        if isinstance(norm, FrozenBatchNorm2d):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.2, 0.2)
            norm.running_mean.uniform_(-0.2, 0.2)
    return model.double()


def run(model: FasterRCNN, features: Tensor, boxes: list[Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    features = features.clone().requires_grad_()
    found = model.roi_heads.region_features(features, boxes)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=found.dtype)
    (found * weights).sum().backward()
    gradients = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    assert features.grad is not None
    return {"features": found.detach(), "map": features.grad, **gradients}


@pytest.mark.parametrize(
    "roi", [{}, {"sampling_ratio": 2}, {"pooled_size": 7}, {"pooled_size": 4, "sampling_ratio": 1}], ids=str
)
@pytest.mark.parametrize("stride_in_1x1", [True, False])
@pytest.mark.parametrize("recompute", [False, True])
def test_features_and_gradients(stride_in_1x1: bool, roi: dict[str, Any], recompute: bool) -> None:
    backbone = {"name": "resnet50", "width": 8, "stride_in_1x1": stride_in_1x1}
    model = detector(backbone=backbone, roi=roi)
    features = torch.randn(2, model.trunk.out_channels, 6, 9, dtype=torch.float64)
    boxes = [each.double() for each in BOXES]
    assert not region_rows_fit(model.roi_heads.pooler, model.roi_heads.res5, features)
    expected = run(model, features, boxes)
    model.train()
    for block in model.roi_heads.res5.layer4:
        block.recompute = recompute
    assert region_rows_fit(model.roi_heads.pooler, model.roi_heads.res5, features)
    found = run(model, features, boxes)
    assert found.keys() == expected.keys()
    assert len(expected) > 10
    for name, value in expected.items():
        assert_near(found[name], value, ALGEBRA, name)


@pytest.mark.parametrize(
    "changes", [{"roi": {"pooling": "pool"}}, {"backbone": {"name": "resnet18", "width": 8}}], ids=["RoIPool", "basic blocks"]
)
def test_other_networks_take_the_plain_way(changes: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    model = detector(**changes).train().float()
    monkeypatch.setattr(roi_heads, "train_region_features", lambda *_: pytest.fail("not for this network"))
    found = model.roi_heads.region_features(torch.randn(2, model.trunk.out_channels, 6, 9), BOXES)
    assert found.shape == (7, model.roi_heads.res5.out_channels)


def test_without_regions() -> None:
    model = detector().train()
    features = torch.randn(1, model.trunk.out_channels, 6, 9, dtype=torch.float64)
    found = model.roi_heads.region_features(features, [torch.zeros(0, 4, dtype=torch.float64)])
    assert found.shape == (0, model.roi_heads.res5.out_channels)


@pytest.mark.parametrize("side", [1, 2, 4, 7])
def test_fourier_is_a_convolution(side: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(side * side, 3, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    maps = x.view(side, side, 3, 2).permute(2, 3, 0, 1)
    expected = torch.nn.functional.conv2d(maps, weight, padding=1).permute(2, 3, 0, 1).reshape(side * side, 3, 5)
    gradient = torch.randn_like(expected)
    for_x, for_weight = torch.autograd.grad(expected, (x, weight), gradient)
    product = Fourier(side, x)
    assert_near(product.forward(x.detach(), weight.detach()), expected.detach(), ALGEBRA)
    assert_near(product.input_gradient(gradient, weight.detach(), x.detach()), for_x, ALGEBRA)
    found = product.weight_gradient(gradient, x.detach(), weight.detach())
    assert_near(found, for_weight, ALGEBRA)
