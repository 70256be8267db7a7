"""The kernels in Triton on a GPU, against torchvision's operators there and on the CPU."""

from __future__ import annotations

import pytest
import torch
from suppression import chains, clusters, on_a_grid, padded
from torch import Tensor
from torchvision.ops import RoIAlign, batched_nms, nms

from resdet.ops.gpu_kernels import has_gpu_kernels

pytest.importorskip("triton")

from resdet.ops.triton_nms import batched_top_nms
from resdet.ops.triton_roi_align import roi_align

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu(device: torch.device) -> torch.device:
    if device.type != "cuda":
        pytest.skip("a CPU has no kernels in Triton")
    assert has_gpu_kernels(torch.zeros(1, device=device))
    return device


def survivors(boxes: Tensor, usable: Tensor, iou: float, top: int, labels: Tensor | None = None) -> list[list[int]]:
    there = [None if each is None else each.cuda() for each in (boxes, usable, labels)]
    indices, counts = batched_top_nms(there[0], there[1], iou, top, there[2])
    return [row[:count] for row, count in zip(indices.tolist(), counts.tolist(), strict=True)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 3000, 6000, 12000])
@pytest.mark.parametrize("spread", [300, 2000])
def test_survivors_of_whole_numbers(count: int, spread: int) -> None:
    """Boxes of whole numbers: every way to compute an IoU rounds alike, so all decide alike."""
    boxes = on_a_grid(count, spread, seed=count)
    scores = torch.arange(count, 0, -1).float()
    everywhere = nms(boxes, scores, 0.7).tolist()
    assert nms(boxes.cuda(), scores.cuda(), 0.7).tolist() == everywhere
    for top in (300, 1000, 20000):
        assert survivors(boxes[None], torch.ones(1, count, dtype=torch.bool), 0.7, top) == [everywhere[:top]]


@pytest.mark.parametrize("count", [3000, 40000])
def test_survivors_of_fractions_are_those_of_the_cpu(count: int) -> None:
    torch.manual_seed(count)
    corner = torch.rand(count, 2) * 900
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2) * 200], 1)
    expected = nms(boxes, torch.arange(count, 0, -1).float(), 0.3).tolist()
    assert survivors(boxes[None], torch.ones(1, count, dtype=torch.bool), 0.3, count) == [expected]


@pytest.mark.parametrize("boxes", [chains(6000), clusters(6000), torch.zeros(300, 4), on_a_grid(3000, 6, seed=0)])
def test_long_lists_of_suppression(boxes: Tensor) -> None:
    expected = nms(boxes, torch.arange(len(boxes), 0, -1).float(), 0.5).tolist()
    for top in (100, 6000):
        assert survivors(boxes[None], torch.ones(1, len(boxes), dtype=torch.bool), 0.5, top) == [expected[:top]]


def test_a_batch_of_eight_with_labels() -> None:
    counts = [0, 1, 64, 65, 700, 2000, 1999, 5]
    boxes, usable = padded([on_a_grid(count, 300, seed=count) for count in counts])
    labels = torch.randint(80, usable.shape, generator=torch.Generator().manual_seed(0))
    found = survivors(boxes, usable, 0.5, 100, labels)
    for mine, own, count, own_labels in zip(found, boxes, counts, labels, strict=True):
        kept = batched_nms(own[:count], torch.arange(count, 0, -1).float(), own_labels[:count], 0.5)
        assert mine == kept[:100].tolist()


def some_regions(count: int, images: int) -> tuple[Tensor, Tensor]:
    """Regions of 800 x 1088 pixels of all sizes, some over the edge, some empty, and the image of each."""
    generator = torch.Generator().manual_seed(count)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([1088.0, 800]) - 20
    size = torch.rand(count, 2, generator=generator).pow(3) * torch.tensor([1088.0, 800])
    size[::50] = 0
    regions = torch.cat([corner, corner + size], 1)
    regions[:1] = torch.tensor([0.0, 0, 1088, 800])
    return regions, torch.arange(count) % images


@pytest.mark.parametrize(("dtype", "relative"), [(torch.float32, 1e-5), (torch.bfloat16, 2.0**-8), (torch.float16, 2.0**-11)])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize(("count", "channels"), [(0, 64), (1, 64), (500, 1024), (40, 100)])
def test_pooling(dtype: torch.dtype, relative: float, ratio: int, count: int, channels: int) -> None:
    """In 16 bits one rounding, of the result, beside what float32 rounds."""
    torch.manual_seed(0)
    features = torch.randn(2, channels, 50, 68, device="cuda").to(dtype).contiguous(memory_format=torch.channels_last)
    regions, image = (each.cuda() for each in some_regions(count, 2))
    found = roi_align(features, regions, image, (14, 14), 1 / 16, ratio)
    pooler = RoIAlign(14, 1 / 16, ratio, aligned=True)
    expected = pooler(features.float(), torch.cat([image[:, None].float(), regions], 1))
    assert (found.shape, found.dtype) == (expected.shape, dtype)
    assert found.is_contiguous(memory_format=torch.channels_last)
    if count:
        error = (found.float() - expected).abs().max()
        assert error <= (relative + 1e-5 * (dtype != torch.float32)) * features.float().abs().max()
