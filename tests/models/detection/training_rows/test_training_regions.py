"""The region classifier's short way in training against torchvision's RoIAlign and the plain conv5."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from rounding import ALGEBRA, assert_near
from tiny_detectors import tiny_detector
from torch import Tensor, nn
from training_networks import set_recompute, with_statistics

from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.training_rows import regions
from resdet.models.detection.training_rows.twin import training_twin
from resdet.ops.fourier import Fourier
from resdet.ops.kernels import Kernels
from resdet.ops.products import onednn_works

# inside, over the border, outside, tiny, huge, empty
BOXES = [
    torch.tensor([[10.0, 20, 60, 80], [-30, 5, 80, 50], [300, 300, 400, 400], [7, 7, 7.5, 7.5], [-900, -900, 900, 900]]),
    torch.tensor([[5.0, 5, 130, 60], [20, 20, 20, 20]]),
]


def detector(**changes: dict[str, Any]) -> FasterRCNN:
    model = with_statistics(tiny_detector(**{"backbone": {"name": "resnet50", "width": 8}, **changes}))
    return cast(FasterRCNN, model.double().train())


def run(heads: RoIHeads, features: Tensor, boxes: list[Tensor]) -> dict[str, Tensor]:
    heads.zero_grad()
    features = features.clone().requires_grad_()
    found = heads.region_features(features, boxes)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=found.dtype)
    (found * weights).sum().backward()
    gradients = {name: each.grad.clone() for name, each in heads.named_parameters() if each.grad is not None}
    assert features.grad is not None
    return {"features": found.detach(), "map": features.grad, **gradients}


@pytest.fixture
def short_way(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The regions' networks that were run the short way."""
    taken: list[nn.Module] = []
    written = regions.train_region_features
    monkeypatch.setattr(
        regions, "train_region_features", lambda pooler, head, *others: taken.append(head) or written(pooler, head, *others)
    )
    return taken


@pytest.mark.parametrize(
    "roi", [{}, {"sampling_ratio": 2}, {"pooled_size": 7}, {"pooled_size": 4, "sampling_ratio": 1}], ids=str
)
@pytest.mark.parametrize("stride_in_1x1", [True, False])
@pytest.mark.parametrize("recompute", [False, True])
def test_features_and_gradients(stride_in_1x1: bool, roi: dict[str, Any], recompute: bool, short_way: list[nn.Module]) -> None:
    backbone = {"name": "resnet50", "width": 8, "stride_in_1x1": stride_in_1x1}
    model = detector(backbone=backbone, roi=roi)
    features = torch.randn(2, model.trunk.out_channels, 6, 9, dtype=torch.float64)
    boxes = [each.double() for each in BOXES]
    expected = run(model.roi_heads, features, boxes)
    assert not short_way
    set_recompute(model.roi_heads.res5, recompute)
    twin = training_twin(model, Kernels("torch")).roi_heads
    found = run(twin, features, boxes)
    assert short_way == [twin.res5]
    assert found.keys() == expected.keys()
    assert len(expected) > 10
    for name, value in expected.items():
        assert_near(found[name], value, ALGEBRA, name)


@pytest.mark.parametrize("stride_in_1x1", [True, False])
@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2"])
def test_features_and_gradients_of_groups_and_wide_blocks(name: str, stride_in_1x1: bool, short_way: list[nn.Module]) -> None:
    model = detector(backbone={"name": name, "width": 16, "stride_in_1x1": stride_in_1x1})
    features = torch.randn(2, model.trunk.out_channels, 6, 9, dtype=torch.float64)
    for boxes in ([each.double() for each in BOXES], [torch.zeros(0, 4).double()] * 2):
        expected = run(model.roi_heads, features, boxes)
        twin = training_twin(model, Kernels("torch")).roi_heads
        found = run(twin, features, boxes)
        assert short_way.pop() is twin.res5
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_near(found[key], value, ALGEBRA, key)


@pytest.mark.parametrize(
    "changes",
    [
        {"roi": {"pooling": "pool"}},
        {"backbone": {"name": "resnet18", "width": 8}},
        {"backbone": {"name": "resnet50d", "width": 8}},
    ],
    ids=["RoIPool", "basic blocks", "an averaged shortcut"],
)
def test_other_networks_take_the_plain_way(changes: dict[str, dict[str, Any]], short_way: list[nn.Module]) -> None:
    model = detector(**changes)
    features, boxes = torch.randn(2, model.trunk.out_channels, 6, 9, dtype=torch.float64), [each.double() for each in BOXES]
    expected = run(model.roi_heads, features, boxes)
    twin = training_twin(model, Kernels("torch"))
    found = run(twin.roi_heads, features, boxes)
    assert found["features"].shape == (7, model.roi_heads.res5.out_channels)
    assert not short_way
    for name, value in expected.items():
        assert_near(found[name], value, ALGEBRA, name)


@pytest.mark.parametrize("pin", ["torch", "onednn"])
def test_without_regions(pin: str, short_way: list[nn.Module]) -> None:
    if pin == "onednn" and not onednn_works(torch.float32, torch.device("cpu")):
        pytest.skip("torch has no oneDNN product here")
    model = detector().float()
    twin = training_twin(model, Kernels(pin))
    features = torch.randn(1, model.trunk.out_channels, 6, 9)
    found = run(twin.roi_heads, features, [torch.zeros(0, 4)])
    assert len(short_way) == 1
    assert found["features"].shape == (0, model.roi_heads.res5.out_channels)
    # nothing was learned of no regions, but all took part
    expected = run(model.roi_heads, features, [torch.zeros(0, 4)])
    assert found.keys() == expected.keys()
    assert len(found) > 10
    for name, gradient in found.items():
        assert not gradient.any(), name


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
