"""The steps of a prepared detector in float64, against torch and torchvision: their algebra is exact."""

import math

import pytest
import torch
from residual_blocks import residual_block
from rounding import ALGEBRA, assert_near, assert_within, transformed_rms, walk
from torch import Tensor, nn
from torch.nn import functional as F

from resdet.models.detection.prepared.fold import FoldedBlock, fold
from resdet.models.detection.prepared.fourier import FourierConvolution
from resdet.models.detection.prepared.room import Room
from resdet.models.detection.prepared.spatial import DirectConvolution, DirectOnRegions, map_convolution, region_convolution
from resdet.models.detection.prepared.winograd import WinogradConvolution
from resdet.ops.fourier import fourier_transforms
from resdet.ops.kernels import Kernels
from resdet.ops.winograd import winograd_transforms

PLAIN = Kernels("torch")


def randomize(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def norms(channels: int) -> nn.BatchNorm2d:
    return randomize(nn.BatchNorm2d(channels))


@pytest.mark.parametrize(("side", "products"), [(1, 4), (2, 13), (4, 37), (7, 94)])
def test_the_fourier_convolution_is_a_convolution(side: int, products: int) -> None:
    torch.manual_seed(side)
    weight, bias, x = (torch.randn(*shape).double() for shape in ((6, 5, 3, 3), (6,), (3, 5, side, side)))
    conv = FourierConvolution(weight, bias, side, PLAIN)
    assert len(conv.into) == products
    assert_near(on_regions(conv, x), F.conv2d(x, weight, bias, padding=1).relu(), ALGEBRA)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 8), (9, 3), (38, 50)])
def test_the_winograd_convolution_is_a_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight, bias, x = (torch.randn(*shape).double() for shape in ((6, 5, 3, 3), (6,), (2, 5, *size)))
    found = WinogradConvolution(weight, bias, PLAIN)(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert_near(found, F.conv2d(x, weight, bias, padding=1).relu(), ALGEBRA)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [1, 4, 7, 14])
def test_the_direct_convolution_is_a_convolution(side: int, stride: int) -> None:
    torch.manual_seed(0)
    weight, bias, x = (torch.randn(*shape).double() for shape in ((6, 5, 3, 3), (6,), (3, 5, side, side)))
    conv = DirectConvolution(weight, bias, stride)
    expected = F.conv2d(x, weight, bias, stride, padding=1).relu()
    assert_near(conv(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), expected, ALGEBRA)
    assert_near(on_regions(DirectOnRegions(conv), x), expected, ALGEBRA)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_of_groups_has_one_way(stride: int) -> None:
    torch.manual_seed(0)
    weight, bias, x = (torch.randn(*shape).double() for shape in ((6, 2, 3, 3), (6,), (3, 4, 7, 7)))
    expected = F.conv2d(x, weight, bias, stride, padding=1, groups=2).relu()
    kernels = Kernels()
    maps = map_convolution(weight, bias, stride, kernels, groups=2)
    assert_near(maps(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), expected, ALGEBRA)
    assert_near(on_regions(region_convolution(weight, bias, stride, 7, kernels, groups=2), x), expected, ALGEBRA)
    assert not kernels.answers  # nothing was measured


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_fastest_ways_are_convolutions(dtype: torch.dtype, stride: int) -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(6, 5, 3, 3, dtype=dtype), torch.randn(6, dtype=dtype), torch.randn(3, 5, 7, 7, dtype=dtype)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), stride, padding=1).relu()
    # of 46 terms, and transforms that multiply rounding by less than 5 (tests of their norms)
    bound = 5 * walk(46 + 94, dtype) * float(expected.max())
    measured = Kernels()
    maps = map_convolution(weight, bias, stride, measured)
    assert_within(maps(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), expected, bound)
    assert_within(on_regions(region_convolution(weight, bias, stride, 7, measured), x), expected, bound)
    asked = [question for question in measured.answers if question.startswith("3×3 of ")]
    assert len(asked) == 2
    assert all(f"{dtype}".removeprefix("torch.") in question and f"stride {stride}" in question for question in asked)


@pytest.mark.parametrize("matmuls", ["torch", "onednn"])
def test_float32_loses_what_the_transforms_lose(matmuls: str) -> None:
    torch.manual_seed(0)
    pinned = Kernels(matmuls)
    weight, bias, x = torch.randn(32, 256, 3, 3) / 48, torch.zeros(32), torch.randn(16, 256, 7, 7).relu()
    exact = F.conv2d(x.double(), weight.double(), padding=1).relu()
    kernels, rows = weight.permute(2, 3, 1, 0).flatten(0, 1), x.permute(0, 2, 3, 1)
    found = WinogradConvolution(weight, bias, pinned)(rows).permute(0, 3, 1, 2)
    tiles = F.pad(rows, (0, 0, 1, 2, 1, 2)).unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3).reshape(36, -1, 256)
    assert rms(found - exact) < transformed_rms(tiles, kernels, winograd_transforms(), torch.float32)
    found = on_regions(FourierConvolution(weight, bias, 7, pinned), x)
    maps = x.permute(2, 3, 0, 1).flatten(0, 1)
    assert rms(found - exact) < transformed_rms(maps, kernels, fourier_transforms(7), torch.float32)


def on_regions(conv: nn.Module, x: Tensor) -> Tensor:
    """A convolution of rows in the order (position, region), of maps (R, C, n, n)."""
    maps = x.permute(2, 3, 0, 1).flatten(0, 1).contiguous()
    found: Tensor = conv(maps, Room(x))
    side = math.isqrt(len(found))
    return found.unflatten(0, (side, side)).permute(2, 3, 0, 1).clone()


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
    inputs, width = (8, 8) if branch == "basic" else (16, 4)
    options = {"option": shortcut, "norm": norms, "preactivation": preactivation, "follows_stem": activated_input}
    for changes in [{"stride_in_1x1": True}, {"groups": 2}] if branch == "bottleneck" else [{}]:
        for averaged in (False, True):
            block = residual_block(branch, (inputs, width, stride), **options, averaged=averaged, **changes)
            block = block.double().eval().requires_grad_(False)
            x: Tensor = torch.randn(2, inputs, 7, 6).double()
            given = x.clone()
            assert_near(FoldedBlock(block)(x), block(given.clone()), ALGEBRA)
            if not isinstance(block.downsample, nn.Identity):
                assert torch.equal(x, given)
