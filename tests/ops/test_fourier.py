"""The 3×3 convolution of small maps by Fourier's transform, and its gradients, against torch's."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torch.nn import functional as F

from resdet.ops import fourier
from resdet.ops.fourier import Fourier, fourier_transforms


def check(side: int, maps: int, channels: int, out: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(maps, channels, side, side, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(out, channels, 3, 3, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, weight, padding=1)
    gradient = torch.randn_like(expected)
    for_x, for_weight = torch.autograd.grad(expected, (x, weight), gradient)
    rows, rows_gradient, rows_for_x = (each.detach().flatten(2).permute(2, 0, 1) for each in (x, gradient, for_x))
    product = Fourier(side, rows)
    assert_near(product.forward(rows, weight.detach()), expected.detach().flatten(2).permute(2, 0, 1), ALGEBRA)
    assert_near(product.input_gradient(rows_gradient, weight.detach(), rows), rows_for_x, ALGEBRA)
    assert_near(product.weight_gradient(rows_gradient, rows, weight.detach()), for_weight, ALGEBRA)


@pytest.mark.parametrize("side", range(1, 9))
@pytest.mark.parametrize(("maps", "channels", "out"), [(1, 1, 1), (3, 2, 5), (2, 5, 3)])
def test_is_the_convolution_of_every_side(side: int, maps: int, channels: int, out: int) -> None:
    check(side, maps, channels, out)


def test_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def parts(count: int, numbers: int) -> list[slice]:
        sizes.append((count, numbers))
        return [slice(start, min(start + 2, count)) for start in range(0, count, 2)]

    monkeypatch.setattr(fourier, "parts", parts)
    check(4, 3, 5, 7)
    # pieces of channels out, in, and out again; a channel takes 37 numbers for each one on the other side
    assert sizes == [(7, 37 * 5), (5, 37 * 7), (7, 37 * 5)]


@pytest.mark.parametrize(("side", "products"), [(7, 94), (4, 37)])
def test_so_many_products_are_enough(side: int, products: int) -> None:
    of_map, of_kernel, back = fourier_transforms(side)
    assert of_map.shape == (products, side**2)
    assert of_kernel.shape == (products, 9)
    assert back.shape == (side**2, products)
    assert of_map.dtype == of_kernel.dtype == back.dtype == torch.float64
