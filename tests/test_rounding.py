"""The bounds hold for sums in any order, in every dtype, and tell one dtype from the next."""

from __future__ import annotations

import math

import pytest
import torch
from rounding import assert_near, assert_within, convolution_bound, gamma, growth, network, transformed_rms, unit, walk
from torch.nn import functional as F

from resdet.ops.winograd import winograd_transforms

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


@pytest.mark.parametrize(("dtype", "bits"), [*zip(DTYPES, (8, 11, 24, 53), strict=True)])
def test_the_unit_roundoff(dtype: torch.dtype, bits: int) -> None:
    assert unit(dtype) == 2**-bits
    assert 1 + torch.tensor(1.001 * unit(dtype), dtype=torch.float64) > 1
    assert torch.tensor(1 + 0.999 * unit(dtype), dtype=torch.float64).to(dtype) == 1


@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize("terms", [1, 2, 10, 100])
def test_sums_term_by_term_stay_inside_and_need_the_room(dtype: torch.dtype, terms: int) -> None:
    torch.manual_seed(0)
    factors, others = (torch.rand(400, terms).to(dtype) for _ in range(2))
    total = torch.zeros(400, dtype=dtype)
    for place in range(terms):
        total = total + factors[:, place] * others[:, place]  # rounded twice: the worst a kernel may do
    exact = (factors.double() * others.double()).sum(1)
    assert_within(total, exact, gamma(terms, dtype) * exact)
    if terms > 1:
        assert_within(total, exact, walk(terms, dtype) * exact)
        with pytest.raises(AssertionError, match="too far"):
            assert_within(total, exact, 0.5 * unit(dtype) * exact)


def test_a_convolution_in_fewer_bits_is_outside() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 16, 9, 9), torch.randn(8, 16, 3, 3)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    bound = convolution_bound(x, weight, torch.float32, padding=1)
    assert_within(F.conv2d(x, weight, padding=1), exact, bound)
    with pytest.raises(AssertionError, match="too far"):
        assert_within(F.conv2d(x.bfloat16().float(), weight, padding=1), exact, bound)
    with pytest.raises(AssertionError, match="too far"):
        assert_within(F.conv2d(x.half().float(), weight, padding=1), exact, bound)


def test_the_definition_has_growth_one_and_is_its_own_transform() -> None:
    # one output, nine products: both transforms are the identity, and back is their sum
    transforms = torch.eye(9), torch.eye(9), torch.ones(1, 9)
    assert growth(transforms, 9) == 1
    tiles, kernels = torch.ones(9, 5, 4), torch.ones(9, 4, 3)
    expected = unit(torch.float32) * math.sqrt((9 + 9 + 4 + 9 + 3) * 9 * 4)
    assert transformed_rms(tiles, kernels, transforms, torch.float32) == pytest.approx(expected)
    assert growth(winograd_transforms(), 9) > 4


def test_networks_walk_and_never_more_than_their_worst_case() -> None:
    assert network(4, 100, torch.float32) == 6 * 20 * 2**-24
    assert network(4, 100, torch.float32, amplified=3) == 3 * network(4, 100, torch.float32)
    assert walk(1, torch.float64) == gamma(1, torch.float64)


def test_numbers_that_are_none_and_other_shapes_are_told() -> None:
    one = torch.ones(2, dtype=torch.float64)
    for found in (one * math.nan, one[:1], one + 2):
        with pytest.raises(AssertionError):
            assert_within(found, one, 1.0)
    assert_within(one + 1, one, 1.0)
    assert_near(one, one * (1 + 1e-9), 1e-8)
    for found in (one * math.nan, one[:1], one * (1 + 1e-7), one.float()):
        with pytest.raises(AssertionError):
            assert_near(found, one, 1e-8)
    assert_near(one[:0], one[:0], 0)
