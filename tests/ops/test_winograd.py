"""Winograd's 3×3 convolution and its gradients against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import ALGEBRA, assert_near, growth
from torch.nn import functional as F

from resdet.ops import winograd
from resdet.ops.fourier import fourier_transforms
from resdet.ops.winograd import Winograd


def check(images: int, height: int, width: int, channels: int, out: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(images, height, width, channels, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(out, channels, 3, 3, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x.permute(0, 3, 1, 2), weight, padding=1).permute(0, 2, 3, 1)
    gradient = torch.randn_like(expected)
    for_x, for_weight = torch.autograd.grad(expected, (x, weight), gradient)
    product, plain_x, plain_weight = Winograd(), x.detach(), weight.detach()
    assert_near(product.forward(plain_x, plain_weight), expected.detach(), ALGEBRA)
    assert_near(product.input_gradient(gradient, plain_weight, plain_x), for_x, ALGEBRA)
    assert_near(product.weight_gradient(gradient, plain_x, plain_weight), for_weight, ALGEBRA)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_any_size(images: int, height: int, width: int, channels: int, out: int) -> None:
    check(images, height, width, channels, out)


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
