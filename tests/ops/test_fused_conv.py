"""The fused step against the layers it stands for, and its gradients against differences."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA, assert_near, growth, walk
from torch import Tensor
from torch.nn import functional as F

from resdet.ops.fused_conv import Direct, Pointwise, Product, fused_conv
from resdet.ops.matmul import MATMULS
from resdet.ops.products import onednn_works
from resdet.ops.winograd import Winograd, winograd_transforms

PRODUCTS = [
    (Pointwise(), 1, 1, 0),
    (Winograd(), 3, 1, 1),
    (Direct(2, 1), 3, 2, 1),
    (Direct(2, 3), 7, 2, 3),
    (Direct(1, 0), 1, 1, 0),
]


def values(side: int, stride: int, padding: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 5, 6, 3).double(), torch.randn(4, 3, side, side).double()
    shape = F.conv2d(x.permute(0, 3, 1, 2), weight, stride=stride, padding=padding).permute(0, 2, 3, 1).shape
    found = {"x": x, "weight": weight, "scale": torch.rand(4).double() + 0.5, "shift": torch.randn(4).double()}
    return {**found, "residual": torch.randn(shape).double()}


def plain(x: Tensor, weight: Tensor, stride: int, padding: int, given: dict[str, Tensor], relu: bool) -> Tensor:
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, stride=stride, padding=padding).permute(0, 2, 3, 1)
    y = y * given.get("scale", torch.ones(1).double()) + given.get("shift", torch.zeros(1).double())
    y = y + given["residual"] if "residual" in given else y
    return y.relu() if relu else y


@pytest.mark.parametrize(("product", "side", "stride", "padding"), PRODUCTS)
@pytest.mark.parametrize("names", [(), ("scale", "shift"), ("scale", "shift", "residual"), ("shift",)])
@pytest.mark.parametrize("relu", [True, False])
def test_value_and_gradients(
    product: Product, side: int, stride: int, padding: int, names: tuple[str, ...], relu: bool
) -> None:
    tensors = values(side, stride, padding)
    x, weight = tensors["x"].requires_grad_(), tensors["weight"].requires_grad_()
    given = {name: tensors[name].requires_grad_(name != "scale") for name in names}
    wanted = [x, weight, *(tensor for tensor in given.values() if tensor.requires_grad)]
    expected = plain(x, weight, stride, padding, given, relu)
    found = fused_conv(x, weight, product, relu=relu, **given)
    assert_near(found, expected, ALGEBRA)
    gradient = torch.randn_like(expected)
    pairs = zip(torch.autograd.grad(found, wanted, gradient), torch.autograd.grad(expected, wanted, gradient), strict=True)
    for ours, theirs in pairs:
        assert_near(ours, theirs, ALGEBRA)


@pytest.mark.parametrize(("side", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_groups(side: int, stride: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 5, 4, 6).double().requires_grad_(), torch.randn(9, 2, side, side).double().requires_grad_()
    scale = torch.rand(9).double() + 0.5
    convolved = F.conv2d(x.permute(0, 3, 1, 2), weight, stride=stride, padding=side // 2, groups=3).permute(0, 2, 3, 1)
    expected = (scale * convolved).relu()
    found = fused_conv(x, weight, Direct(stride, side // 2, groups=3), scale=scale)
    assert_near(found, expected, ALGEBRA)
    gradient = torch.randn_like(expected)
    for ours, theirs in zip(*(torch.autograd.grad(each, [x, weight], gradient) for each in (found, expected)), strict=True):
        assert_near(ours, theirs, ALGEBRA)


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("name", MATMULS)
def test_float32_by_every_product_of_matrices(name: str, side: int) -> None:
    if name == "onednn" and not onednn_works(torch.float32, torch.device("cpu")):
        pytest.skip("torch has no oneDNN product here")
    product: Product = Pointwise(MATMULS[name]) if side == 1 else Winograd(MATMULS[name])
    exact = {key: tensor.requires_grad_(key != "scale") for key, tensor in values(side, 1, side // 2).items()}
    given = {key: tensor.detach().float().requires_grad_(key != "scale") for key, tensor in exact.items()}
    # numbers that are float32's own: only the computation rounds
    exact = {key: tensor.detach().double().requires_grad_(key != "scale") for key, tensor in given.items()}
    x, weight, *_ = exact.values()
    expected = plain(x, weight, 1, side // 2, exact, relu=False)
    found = fused_conv(product=product, relu=False, **given)
    # sums of at most 2 * 5 * 6 positions by nine taps, scale, shift and sum; Winograd multiplies the rounding of random numbers
    roundings = 60 * side**2 + 3
    allowed = walk(roundings, torch.float32) * (1 if side == 1 else growth(winograd_transforms(), 9))
    assert_near(found.double(), expected, allowed)
    gradient = torch.randn_like(expected).float()
    names = [key for key in exact if key != "scale"]
    ours = torch.autograd.grad(found, [given[key] for key in names], gradient)
    theirs = torch.autograd.grad(expected, [exact[key] for key in names], gradient.double())
    for key, mine, reference in zip(names, ours, theirs, strict=True):
        assert_near(mine.double(), reference, allowed, key)


@pytest.mark.parametrize(("product", "side", "stride", "padding"), PRODUCTS[:3])
def test_gradients_are_differences(product: Product, side: int, stride: int, padding: int) -> None:
    tensors = values(side, stride, padding)
    x, weight, residual = (
        tensors[name][..., :2].clone() if name == "x" else tensors[name] for name in ("x", "weight", "residual")
    )
    inputs = (x.requires_grad_(), weight[:, :2].clone().requires_grad_(), residual.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda x, weight, residual: fused_conv(x, weight, product, scale=tensors["scale"], residual=residual),
        inputs,
        fast_mode=True,
    )


def test_frozen_inputs_get_no_gradient() -> None:
    tensors = values(3, 1, 1)
    weight = tensors["weight"].requires_grad_()
    fused_conv(tensors["x"], weight, Winograd(), scale=tensors["scale"]).sum().backward()
    assert weight.grad is not None
    assert tensors["x"].grad is None
