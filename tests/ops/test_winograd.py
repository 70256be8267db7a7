"""Winograd's 3×3 convolution and its gradients against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import ALGEBRA, assert_near, growth, walk
from torch import Tensor
from torch.nn import functional as F

from resdet.ops import winograd
from resdet.ops.fourier import fourier_transforms
from resdet.ops.fused_conv import Product
from resdet.ops.matmul import MATMULS, Matmul
from resdet.ops.products import onednn_works
from resdet.ops.winograd import Winograd


def check(images: int, height: int, width: int, channels: int, out: int, dtype: torch.dtype = torch.float64) -> None:
    torch.manual_seed(0)
    x = torch.randn(images, height, width, channels).to(dtype)
    weight = torch.randn(out, channels, 3, 3).to(dtype)
    # numbers a tile, a kernel and a product go through, and the positions and channels of their sums
    roundings = 2 * 36 + 9 + images * height * width + channels + out
    relative = ALGEBRA if dtype == torch.float64 else walk(roundings, dtype) * growth(winograd.winograd_transforms(), 9)
    for matmul in matmuls(dtype):
        assert_convolution(Winograd(matmul), x, weight, relative)


def matmuls(dtype: torch.dtype) -> list[Matmul]:
    return [MATMULS[name] for name in MATMULS if name == "torch" or onednn_works(dtype, torch.device("cpu"))]


def assert_convolution(product: Product, x: Tensor, weight: Tensor, relative: float) -> None:
    """The convolution of rows x (N, H, W, C) and its two gradients, against those of float64."""
    exact_x, exact_weight = x.double().requires_grad_(), weight.double().requires_grad_()
    expected = F.conv2d(exact_x.permute(0, 3, 1, 2), exact_weight, padding=1).permute(0, 2, 3, 1)
    gradient = torch.randn(expected.shape).to(x.dtype)
    for_x, for_weight = torch.autograd.grad(expected, (exact_x, exact_weight), gradient.double())
    assert_near(product.forward(x, weight).double(), expected.detach(), relative)
    assert_near(product.input_gradient(gradient, weight, x).double(), for_x, relative)
    assert_near(product.weight_gradient(gradient, x, weight).double(), for_weight, relative)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_any_size(images: int, height: int, width: int, channels: int, out: int) -> None:
    check(images, height, width, channels, out)


@pytest.mark.parametrize(
    ("images", "height", "width", "channels", "out"), [(2, 7, 9, 32, 24), (1, 1, 1, 1, 1), (3, 5, 4, 130, 3)]
)
def test_in_float32_by_every_product_of_matrices(images: int, height: int, width: int, channels: int, out: int) -> None:
    check(images, height, width, channels, out, torch.float32)


def test_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        winograd, "parts", lambda count, _: (slice(start, min(start + 2, count)) for start in range(0, count, 2))
    )
    check(3, 6, 5, 3, 5)


@pytest.mark.parametrize(
    ("count", "numbers", "pieces"),
    [(0, 10, []), (3, 10, [(0, 3)]), (5, 2_500_000, [(0, 2), (2, 4), (4, 5)]), (2, 10**9, [(0, 1), (1, 2)])],
)
def test_pieces_cover_all_and_are_small(count: int, numbers: int, pieces: list[tuple[int, int]]) -> None:
    assert [(piece.start, piece.stop) for piece in winograd.parts(count, numbers)] == pieces


def test_the_points_keep_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = growth(winograd.winograd_transforms(), 9)
    monkeypatch.setattr(winograd, "POINTS", (0.0, 1.0, -1.0, 2.0, -2.0))
    assert ours < 5
    assert ours < growth(winograd.winograd_transforms(), 9) / 2
    assert all(growth(fourier_transforms(side), 9) < 1.25 for side in range(1, 8))
