"""The steps of a prepared detector in float64, against torch and torchvision: their algebra is exact."""

import pytest
import torch
from rounding import ALGEBRA, assert_near, transformed_rms
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import RoIAlign

from resdet.models.backbones.blocks import ResidualBlock, basic_branch, bottleneck_branch
from resdet.models.backbones.shortcuts import make_shortcut
from resdet.models.detection.prepared.fold import FoldedBlock, fold
from resdet.models.detection.prepared.fourier import FourierConvolution
from resdet.models.detection.prepared.room import Room
from resdet.models.detection.prepared.winograd import WinogradConvolution
from resdet.ops.fourier import fourier_transforms
from resdet.ops.roi_rows import region_terms
from resdet.ops.winograd import winograd_transforms

BOXES = [
    [[0, 0, 208, 144], [-50, -60, 300, 400], [10, 10, 10, 10], [5, 5, 7, 6], [30, 20, 10, 5], [-500, 0, -300, 50]],
    [[200, 100, 208, 144], [100, 1, 1000, 90], [0.1, 0.2, 0.3, 0.4], [-8, -8, 8, 8], [7.9, 31.9, 8.1, 100]],
]


def randomize(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def norms(channels: int) -> nn.BatchNorm2d:
    return randomize(nn.BatchNorm2d(channels))


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


@pytest.mark.parametrize(("side", "products"), [(1, 4), (2, 13), (4, 37), (7, 94)])
def test_the_fourier_convolution_is_a_convolution(side: int, products: int) -> None:
    torch.manual_seed(side)
    weight, bias, x, constant = (torch.randn(*shape).double() for shape in ((6, 5, 3, 3), (6,), (3, 5, side, side), (5,)))
    conv = FourierConvolution(weight, bias, side)
    assert len(conv.kernel) == products
    maps = torch.cat([x.permute(2, 3, 0, 1).flatten(0, 1), constant.expand(1, 3, 5)])
    found = conv(maps, Room(x)).view(side, side, 3, 6).permute(2, 3, 0, 1)
    expected = F.conv2d(x + constant[:, None, None], weight, bias, padding=1)
    assert_near(found, expected, ALGEBRA)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 8), (9, 3), (38, 50)])
def test_the_winograd_convolution_is_a_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight, bias, x = (torch.randn(*shape).double() for shape in ((6, 5, 3, 3), (6,), (2, 5, *size)))
    found = WinogradConvolution(weight, bias)(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert_near(found, F.conv2d(x, weight, bias, padding=1), ALGEBRA)


def test_float32_loses_what_the_transforms_lose() -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(32, 256, 3, 3) / 48, torch.zeros(32), torch.randn(16, 256, 7, 7).relu()
    exact, kernels = F.conv2d(x.double(), weight.double(), padding=1), weight.permute(2, 3, 1, 0).flatten(0, 1)
    rows = x.permute(0, 2, 3, 1)
    found = WinogradConvolution(weight, bias)(rows).permute(0, 3, 1, 2)
    tiles = F.pad(rows, (0, 0, 1, 2, 1, 2)).unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3).reshape(36, -1, 256)
    assert rms(found - exact) < transformed_rms(tiles, kernels, winograd_transforms(), torch.float32)
    maps = x.permute(2, 3, 0, 1).flatten(0, 1)
    found = FourierConvolution(weight, bias, 7)(torch.cat([maps, torch.zeros(1, 16, 256)]), Room(x))
    found = found.view(7, 7, 16, 32).permute(2, 3, 0, 1)
    assert rms(found - exact) < transformed_rms(maps, kernels, fourier_transforms(7), torch.float32)


def rms(error: Tensor) -> float:
    return float(error.pow(2).mean().sqrt())


def test_fold_is_the_convolution_and_its_norm() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 4, 3, bias=True).double(), norms(4).double().eval()
    x = torch.randn(2, 3, 6, 6).double()
    assert_near(F.conv2d(x, *fold(conv, norm)), norm(conv(x)), ALGEBRA)
    weight, bias = fold(conv, None)
    for own, plain in ((weight, conv.weight), (bias, conv.bias)):
        assert torch.equal(own, plain)
        assert own.data_ptr() != plain.data_ptr()


@pytest.mark.parametrize("preactivation", [False, True])
@pytest.mark.parametrize("activated_input", [False, True])
@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
@pytest.mark.parametrize("branch", ["basic", "bottleneck"])
@pytest.mark.parametrize("stride", [1, 2])
def test_folded_blocks_of_every_kind(
    branch: str, shortcut: str, preactivation: bool, activated_input: bool, stride: int
) -> None:
    torch.manual_seed(0)
    inputs, width, outputs = (8, 8, 8) if branch == "basic" else (16, 4, 16)
    convolutions = basic_branch(inputs, width, stride) if branch == "basic" else bottleneck_branch(inputs, width, stride, True)
    block = ResidualBlock(
        convolutions,
        norms,
        make_shortcut(shortcut, inputs, outputs, stride, None if preactivation else norms),
        preactivation=preactivation,
        activated_input=activated_input,
    )
    block = block.double().eval().requires_grad_(False)
    x: Tensor = torch.randn(2, inputs, 7, 6).double()
    given = x.clone()
    assert_near(FoldedBlock(block)(x), block(given.clone()), ALGEBRA)
    if not isinstance(block.downsample, nn.Identity):
        assert torch.equal(x, given)
