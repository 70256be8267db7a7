"""A convolution with its scale, shift, sum and ReLU: against the same written out, values and gradients."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA
from torch import Tensor
from torch.nn import functional as F

from resdet.ops.conv_relu import Window, conv_relu, has_one_kernel, scaled_conv

WINDOWS = [Window((1, 1), (1, 1)), Window((2, 2), (1, 1)), Window((1, 1), (2, 2), (2, 2)), Window((2, 1), (0, 1), (1, 1), 2)]


def parts(window: Window) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 4, 9, 8, dtype=torch.float64), torch.randn(6, 4 // window.groups, 3, 3, dtype=torch.float64)
    return x, weight, torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)


def written_out(
    x: Tensor, weight: Tensor, window: Window, scale: Tensor | None, shift: Tensor | None, residual: Tensor | None, relu: bool
) -> Tensor:
    y = F.conv2d(x, weight, None, window.stride, window.padding, window.dilation, window.groups)
    y = y if scale is None else y * scale[:, None, None]
    y = y if shift is None else y + shift[:, None, None]
    y = y if residual is None else y + residual
    return y.relu() if relu else y


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("with_residual", [False, True])
def test_inference(window: Window, with_residual: bool) -> None:
    x, weight, _, bias = parts(window)
    expected = written_out(x, weight, window, None, bias, None, False)
    residual = torch.randn_like(expected) if with_residual else None
    kept = None if residual is None else residual.clone()
    found = conv_relu(x, weight, bias, window, residual)
    assert torch.allclose(found, written_out(x, weight, window, None, bias, residual, True), rtol=ALGEBRA, atol=ALGEBRA)
    assert residual is None or torch.equal(residual, kept)
    assert not has_one_kernel(x)  # a CPU has three


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("given", ["scale shift residual", "shift residual", "scale", ""])
@pytest.mark.parametrize("relu", [True, False])
def test_values_and_gradients(window: Window, layout: torch.memory_format, given: str, relu: bool) -> None:
    x, weight, scale, shift = (each.requires_grad_() for each in parts(window))
    scale = scale.detach()
    residual = torch.randn(written_out(x, weight, window, None, None, None, relu).shape, dtype=x.dtype, requires_grad=True)
    options = {"scale": scale, "shift": shift, "residual": residual}
    options = {name: value if name in given.split() else None for name, value in options.items()}
    learnt = [x, weight, *(value for value in options.values() if value is not None and value.requires_grad)]
    expected = written_out(x, weight, window, *options.values(), relu)
    found = scaled_conv(x.to(memory_format=layout), weight, window, **options, relu=relu)
    assert torch.allclose(found, expected, rtol=ALGEBRA, atol=ALGEBRA)
    direction = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * direction).sum(), learnt)
    for mine, other in zip(torch.autograd.grad((found * direction).sum(), learnt), wanted, strict=True):
        assert torch.allclose(mine, other, rtol=1e-10, atol=1e-10)


def test_weights_keep_float32_where_maps_do_not() -> None:
    """A rounding of the weight more or less: bfloat16 has 8 bits."""
    x, weight, scale, shift = (each.float() for each in parts(WINDOWS[0]))
    weight.requires_grad_()
    found = scaled_conv(x.bfloat16(), weight, WINDOWS[0], scale=scale, shift=shift)
    expected = written_out(x, weight, WINDOWS[0], scale, shift, None, True)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() <= 4 * 2**-8 * expected.abs().max()
    found.float().square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


def test_frozen_weights_get_no_gradient() -> None:
    x, weight, scale, shift = parts(WINDOWS[0])
    x.requires_grad_()
    scaled_conv(x, weight, WINDOWS[0], scale=scale, shift=shift).sum().backward()
    assert x.grad is not None
    assert weight.grad is None
