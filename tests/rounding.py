"""How far rounding may move a result, from the operation itself: no kernel's own error is the measure of another's.

``u`` is the unit roundoff: every sum and product is the exact one times ``1 + d``, ``|d| <= u``.

* A sum of ``n`` products, in whatever order and with or without fused multiply-adds, is off by at most ``gamma(n)`` times the
  sum of the absolute products (Higham, Accuracy and Stability of Numerical Algorithms, 3.1 and 3.5). That holds for every
  kernel that computes the definition, and in float64 it is far below any mistake.
* Roundings have changing signs and add up as a random walk does: ``n`` of them to about ``sqrt(n) u``, and each within
  ``lambda sqrt(n) u`` with probability ``1 - 2 exp(-lambda**2 / 2)`` (Higham and Mary, A New Approach to Probabilistic Rounding
  Error Analysis, 2019). In float32 this, not the worst case, tells a kernel that rounds to float32 from one of fewer bits.
* A network of ``layers``, each of sums of ``terms``, whose layers pass on a relative change of their input as it is (those of
  random weights treat noise as they treat the signal) makes ``layers * terms`` roundings on the way to a number: ``walk`` of
  that, relative to the largest number of the result. What amplifies a change (a BN of few numbers, a difference of near
  numbers, a scale that spreads what is nearly equal) is a factor that the test states.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LAMBDA = 6.0  # deviations of a random walk: 3e-8 of the numbers lie outside


def unit(dtype: torch.dtype) -> float:
    """The unit roundoff: half the distance of 1 from the next number."""
    return torch.finfo(dtype).eps / 2


def gamma(roundings: int, dtype: torch.dtype) -> float:
    """The largest relative change by so many roundings in a row, Higham's gamma."""
    share = roundings * unit(dtype)
    assert share < 1
    return share / (1 - share)


def walk(roundings: int, dtype: torch.dtype) -> float:
    """The largest relative change by so many roundings in a row of changing signs; never more than ``gamma``."""
    return min(LAMBDA * math.sqrt(roundings) * unit(dtype), gamma(roundings, dtype))


def network(layers: int, terms: int, dtype: torch.dtype, amplified: float = 1.0) -> float:
    """The relative change of the results of ``layers`` of sums of ``terms``, times what the test says amplifies it."""
    return amplified * walk(layers * terms, dtype)


# Comparisons in float64 are about algebra, of which a mistake shows in the first digits. Rounding stays below this for every
# network of ours (200 layers of sums of 512 * 9) even where it multiplies the rounding a thousandfold, as BN in training mode
# does that divides by the deviation of some ten numbers: 6e-10.
ALGEBRA = network(200, 9 * 512, torch.float64, amplified=1e3)


def convolution_bound(x: Tensor, weight: Tensor, dtype: torch.dtype, **options: int) -> Tensor:
    """The largest error of ``F.conv2d(x, weight, **options)`` in ``dtype``, for every number of the result."""
    return gamma(weight[0].numel(), dtype) * F.conv2d(x.double().abs(), weight.double().abs(), **options)


def transformed_rms(tiles: Tensor, kernels: Tensor, transforms: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype) -> float:
    """The root mean square error, at most, of ``back @ sum over channels of (of_kernel @ kernel) * (of_tile @ tile)``.

    Each of the S numbers of a tile, K of a kernel, C channels and F products enters by one product and at most one sum, and the
    matrices are rounded themselves: S + K + C + F + 3 roundings. They have independent signs, so squares add up: the square of
    the error is that number times ``u**2`` times ``back**2 @ sum of (of_kernel**2 @ kernel**2) * (of_tile**2 @ tile**2)``. A
    kernel that adds in blocks makes fewer.

    Args:
        tiles: (S, T, C).
        kernels: (K, C, channels out).
        transforms: of tiles (F, S), of kernels (F, K), and back (O, F).
        dtype: what all is computed in.
    """
    of_tile, of_kernel, back = (each.double().square() for each in transforms)
    products = torch.einsum("fs,stc->ftc", of_tile, tiles.double().square())
    weights = torch.einsum("fk,kco->fco", of_kernel, kernels.double().square())
    squares = torch.einsum("of,ftk->otk", back, torch.bmm(products, weights))
    roundings = len(tiles) + len(kernels) + tiles.shape[2] + len(of_tile) + 3
    return unit(dtype) * math.sqrt(roundings * float(squares.mean()))


def growth(transforms: tuple[Tensor, Tensor, Tensor], taps: int) -> float:
    """By how much an algorithm of transforms multiplies the rounding of its products, for random numbers; the definition: 1."""
    of_tile, of_kernel, back = (each.double().square() for each in transforms)
    return math.sqrt(float((back @ (of_tile.sum(1) * of_kernel.sum(1))).mean()) / taps)


def assert_within(found: Tensor, exact: Tensor, bound: Tensor | float) -> None:
    """Fail where ``found`` is further from ``exact`` (float64) than ``bound``, with the worst place."""
    assert found.shape == exact.shape
    assert exact.dtype == torch.float64
    if not exact.numel():
        return
    off = (found.double() - exact).abs() - torch.as_tensor(bound, dtype=torch.float64)
    worst = int(off.argmax())
    assert not (~(off <= 0)).any(), (
        f"{float(found.flatten()[worst])} for {float(exact.flatten()[worst])}, {float(off.max())} too far"
    )


def assert_near(found: Tensor, expected: Tensor, relative: float, msg: str = "", *, largest: float | None = None) -> None:
    """Fail where two tensors differ by more than ``relative`` times ``largest``: by default that of ``expected``'s numbers."""
    assert found.dtype == expected.dtype
    if largest is None:
        largest = float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        found, expected, rtol=0, atol=relative * largest, msg=(lambda text: f"{msg}: {text}") if msg else None
    )
