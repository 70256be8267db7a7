"""RoIAlign as weighted sums of rows against torchvision's, in float64: its algebra is exact."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torchvision.ops import RoIAlign

from resdet.ops.roi_rows import region_terms

BOXES = [
    [[0, 0, 208, 144], [-50, -60, 300, 400], [10, 10, 10, 10], [5, 5, 7, 6], [30, 20, 10, 5], [-500, 0, -300, 50]],
    [[200, 100, 208, 144], [100, 1, 1000, 90], [0.1, 0.2, 0.3, 0.4], [-8, -8, 8, 8], [7.9, 31.9, 8.1, 100]],
]


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("bins", [7, 14])
@pytest.mark.parametrize("sampling_ratio", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("aligned", [True, False])
def test_the_gather_is_roi_align(aligned: bool, sampling_ratio: int, bins: int, step: int) -> None:
    features = torch.randn(2, 5, 9, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    boxes = [torch.tensor(each, dtype=torch.float64) for each in BOXES]
    pooler = RoIAlign(bins, 1 / 16, sampling_ratio, aligned=aligned)
    expected = pooler(features, boxes)[:, :, ::step, ::step].permute(2, 3, 0, 1).flatten(0, 2)
    found = region_terms(pooler, boxes, (9, 13), torch.float64, step).gather(features.permute(0, 2, 3, 1).flatten(0, 2))
    assert_near(found, expected, ALGEBRA)


def test_the_gather_of_no_boxes_and_of_boxes_that_see_nothing() -> None:
    table = torch.randn(20, 3)
    pooler = RoIAlign(2, 1 / 16, 0, aligned=True)
    assert region_terms(pooler, [torch.zeros(0, 4)], (4, 5), torch.float32).gather(table).shape == (0, 3)
    outside = region_terms(pooler, [torch.tensor([[-900.0, 0, -800, 50]])], (4, 5), torch.float32).gather(table)
    assert torch.equal(outside, torch.zeros(4, 3))
