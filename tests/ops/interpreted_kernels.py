"""The Triton kernels interpreted on the CPU, against torchvision's CPU operators and loops.

Triton decides when it is imported whether it compiles or interprets: ``test_triton_kernels.py`` starts a process for this file.
"""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from suppression import chains, clusters, expected_survivors, on_a_grid, padded
from torch import Tensor
from torchvision.ops import RoIAlign

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("TRITON_INTERPRET=1 is needed", allow_module_level=True)

from resdet.ops import triton_nms
from resdet.ops.triton_nms import batched_top_nms
from resdet.ops.triton_roi_align import roi_align

# ------------------------------------------------------------------------------------------------------------------- NMS


def survivors(boxes: Tensor, usable: Tensor, iou: float, top: int, labels: Tensor | None = None) -> list[list[int]]:
    indices, counts = batched_top_nms(boxes, usable, iou, top, labels)
    assert indices.shape == (len(boxes), min(top, boxes.shape[1]))
    return [row[:count] for row, count in zip(indices.tolist(), counts.tolist(), strict=True)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130])
@pytest.mark.parametrize("iou", [0.0, 0.7])
def test_survivors_of_counts_around_a_word(count: int, iou: float) -> None:
    boxes = on_a_grid(count, 60, seed=count)
    usable = torch.ones(count, dtype=torch.bool)
    for top in (20, 300):
        (found,) = survivors(boxes[None], usable[None], iou, top)
        assert found == expected_survivors(boxes, usable, iou, top)


@pytest.mark.parametrize("boxes", [chains(130), clusters(100), on_a_grid(100, 8, seed=1), torch.zeros(70, 4)])
def test_chains_clusters_and_equal_boxes(boxes: Tensor) -> None:
    """In a chain each box overlaps the next alone, so that every other one survives: the longest way to a decision."""
    usable = torch.ones(len(boxes), dtype=torch.bool)
    assert survivors(boxes[None], usable[None], 0.5, 200) == [expected_survivors(boxes, usable, 0.5, 200)]


@pytest.mark.parametrize("tile", [8192, 512])  # all rows of a block at once, and in parts
def test_images_of_different_counts_and_labels(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_nms, "_TILE", tile)
    counts = [0, 1, 64, 100]
    boxes, usable = padded([on_a_grid(count, 40, seed=count) for count in counts])
    usable &= torch.rand(usable.shape, generator=torch.Generator().manual_seed(0)) < 0.8
    labels = torch.randint(3, usable.shape, generator=torch.Generator().manual_seed(1))
    for own in (None, labels):
        found = survivors(boxes, usable, 0.5, 30, own)
        for row in range(len(counts)):
            assert found[row] == expected_survivors(boxes[row], usable[row], 0.5, 30, None if own is None else own[row])


def test_boxes_that_are_not_usable_may_be_anything() -> None:
    boxes = torch.tensor([[0.0, 0, torch.nan, 9], [0, 0, 10, 10], [0, 0, torch.inf, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    assert survivors(boxes[None], torch.tensor([[False, True, False, True, True]]), 0.5, 9) == [[1, 4]]


def test_an_overlap_equal_to_the_threshold_stays() -> None:
    boxes, usable = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 5]]]), torch.ones(1, 2, dtype=torch.bool)
    assert survivors(boxes, usable, 0.5, 9) == [[0, 1]]
    assert survivors(boxes, usable, 0.49, 9) == [[0]]
    tenths = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 3]]])  # 3 / 10 in float32 is above 0.3
    assert survivors(tenths, usable, 0.3, 9) == [expected_survivors(tenths[0], usable[0], 0.3, 9)]


@settings(max_examples=5, deadline=None)
@given(
    count=st.integers(0, 90),
    spread=st.integers(1, 60),
    seed=st.integers(0, 99),
    top=st.integers(1, 90),
    iou=st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.95]),
)
def test_any_boxes(count: int, spread: int, seed: int, top: int, iou: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, count, 2, generator=generator) * spread
    boxes = torch.cat([corner, corner + torch.rand(2, count, 2, generator=generator) * 20], 2)
    usable, labels = torch.rand(2, count, generator=generator) < 0.9, torch.randint(2, (2, count), generator=generator)
    found = survivors(boxes, usable, iou, top, labels)
    assert found == [expected_survivors(boxes[i], usable[i], iou, top, labels[i]) for i in range(2)]


# -------------------------------------------------------------------------------------------------------------- RoIAlign


def check_pooling(
    features: Tensor, boxes: Tensor, image: Tensor, size: tuple[int, int], scale: float, ratio: int, relative: float = 2e-6
) -> None:
    """A sample is a sum of 4 terms, a bin that of some samples: 2e-6 is 16 roundings of float32, of the largest number."""
    found = roi_align(features.contiguous(memory_format=torch.channels_last), boxes, image, size, scale, ratio)
    indexed = torch.cat([image[:, None].float(), boxes], 1)
    expected = RoIAlign(size, scale, ratio, aligned=True)(features.float(), indexed)
    assert found.dtype == features.dtype
    assert found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    if len(boxes):
        assert (found.float() - expected).abs().max() <= relative * features.float().abs().max()


EDGES = [
    [0.0, 0, 160, 112],  # all of the map
    [3.7, 5.2, 9.1, 8.8],  # within a position
    [16, 16, 144, 96],  # whole positions: samples on their grid
    [-60, -45, 30, 30],  # partly outside
    [150, 100, 190, 140],
    [300, 300, 340, 340],  # outside
    [50, 50, 50, 50],  # empty
    [60, 60, 40, 30],  # turned round
    [8, 8, 232, 232],  # 14 positions a side: just one sample a bin
    [0, 0, 155.2, 1.0],
]


@pytest.mark.parametrize(("size", "ratio"), [((7, 7), 0), ((2, 3), -1), ((2, 1), 1), ((1, 2), 3)])
def test_pooling_of_edge_cases(size: tuple[int, int], ratio: int) -> None:
    features = torch.randn(2, 5, 7, 10, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor(EDGES)
    check_pooling(features, boxes, torch.arange(len(boxes)) % 2, size, 1 / 16, ratio)


@pytest.mark.parametrize("channels", [1, 130])
def test_pooling_of_channels_around_a_block(channels: int) -> None:
    features = torch.randn(1, channels, 4, 3, generator=torch.Generator().manual_seed(1))
    check_pooling(features, torch.tensor([[4.0, 3, 40, 60]]), torch.zeros(1, dtype=torch.int64), (2, 2), 1 / 16, 0)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.bfloat16, 8), (torch.float16, 11)])
def test_pooling_of_sixteen_bits_rounds_once(dtype: torch.dtype, digits: int) -> None:
    features = torch.randn(2, 4, 6, 9, generator=torch.Generator().manual_seed(2)).to(dtype)
    boxes = torch.tensor(EDGES[:5])
    check_pooling(features, boxes, torch.tensor([1, 0, 1, 0, 0]), (4, 4), 1 / 16, 0, 2.0**-digits + 2e-6)


def test_pooling_of_no_region() -> None:
    check_pooling(torch.randn(1, 3, 4, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (7, 7), 1 / 16, 0)


@settings(max_examples=8, deadline=None)
@given(
    corners=st.lists(st.floats(-40, 150, width=32), min_size=4, max_size=4),
    scale=st.sampled_from([1 / 16, 1 / 8]),
    seed=st.integers(0, 99),
)
def test_pooling_of_any_region(corners: list[float], scale: float, seed: int) -> None:
    features = torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    (left, right), (top, bottom) = sorted(corners[:2]), sorted(corners[2:])  # torchvision's operator fails on some others
    check_pooling(features, torch.tensor([[left, top, right, bottom]]), torch.zeros(1, dtype=torch.int64), (2, 3), scale, 0)
