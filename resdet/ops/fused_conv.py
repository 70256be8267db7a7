"""Fuses a convolution with the constant scale and shift, sum and ReLU that follow it into one training step, on rows.

Rows are maps with their channels innermost, so that a 1×1 convolution is a matrix product. Frozen BN's scale is multiplied
into the weight on the fly, so that for the backward pass the step keeps only its input, the weight and its result. A
``Product`` computes the convolution.

Legend: N images, H × W positions, C channels in, K channels out.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from resdet.ops.matmul import Matmul, torch_matmul


class Product(Protocol):
    """Computes a convolution of rows x (..., C) with a weight (K, C, k, k), or (K, C / groups, k, k); it is linear in both."""

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """The result (..., K), in new memory."""

    def input_gradient(self, gradient: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """The gradient of x, from the gradient of the result; ``like`` is x, for its shape."""

    def weight_gradient(self, gradient: Tensor, x: Tensor, like: Tensor) -> Tensor:
        """The gradient of the weight, from the gradient of the result; ``like`` is the weight, for its shape."""


class Pointwise:
    """A 1×1 convolution of stride 1 on rows of any shape (..., C), computed as matrix products of all rows.

    Args:
        matmul: computes the matrix products.
    """

    def __init__(self, matmul: Matmul = torch_matmul) -> None:
        self.matmul = matmul

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """See ``Product``."""
        return self.matmul(x.flatten(0, -2), weight.flatten(1).t()).view(*x.shape[:-1], len(weight))

    def input_gradient(self, gradient: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """See ``Product``."""
        return self.matmul(gradient.flatten(0, -2), weight.flatten(1)).view(like.shape)

    def weight_gradient(self, gradient: Tensor, x: Tensor, like: Tensor) -> Tensor:
        """See ``Product``."""
        return self.matmul(gradient.flatten(0, -2).t(), x.flatten(0, -2)).view(like.shape)


class Direct:
    """Any convolution of rows (N, H, W, C), computed by torch.

    Args:
        stride, padding: the stride and the padding of both axes.
        groups: the number of channel groups that are convolved separately.
    """

    def __init__(self, stride: int, padding: int, groups: int = 1) -> None:
        self.stride, self.padding, self.groups = stride, padding, groups

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """See ``Product``."""
        return F.conv2d(_planes(x), weight, None, self.stride, self.padding, groups=self.groups).permute(0, 2, 3, 1)

    def input_gradient(self, gradient: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """See ``Product``."""
        shape = like.permute(0, 3, 1, 2).shape
        planes = _planes(gradient)
        return conv2d_input(shape, weight, planes, self.stride, self.padding, groups=self.groups).permute(0, 2, 3, 1)

    def weight_gradient(self, gradient: Tensor, x: Tensor, like: Tensor) -> Tensor:
        """See ``Product``."""
        return conv2d_weight(_planes(x), like.shape, _planes(gradient), self.stride, self.padding, groups=self.groups)


def fused_conv(
    x: Tensor,
    weight: Tensor,
    product: Product,
    *,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    residual: Tensor | None = None,
    relu: bool = True,
) -> Tensor:
    """``relu(scale * conv(x, weight) + shift + residual)``.

    Args:
        x: rows (..., C), float32 or float64.
        weight: (K, C, k, k), or (K, C / groups, k, k).
        product: the convolution.
        scale: (K,), gets no gradient; None means 1.
        shift: (K,); None means 0.
        residual: rows (..., K); None means 0.
        relu: False leaves the ReLU out.

    Returns:
        Rows (..., K).
    """
    result: Tensor = _FusedConv.apply(x, weight, product, scale, shift, residual, relu)
    return result


class _FusedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        product: Product,
        scale: Tensor | None,
        shift: Tensor | None,
        residual: Tensor | None,
        relu: bool,
    ) -> Tensor:
        y = product.forward(x, _scaled(weight, scale))
        if shift is not None:
            y += shift
        if residual is not None:
            y += residual
        if relu:
            y.relu_()
        ctx.save_for_backward(x, weight, scale, y if relu else None)
        ctx.product = product
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, y = ctx.saved_tensors
        gradient = gradient.contiguous() if y is None else torch.ops.aten.threshold_backward(gradient, y, 0)
        needs = ctx.needs_input_grad
        for_x = ctx.product.input_gradient(gradient, _scaled(weight, scale), x) if needs[0] else None
        for_weight = _scaled(ctx.product.weight_gradient(gradient, x, weight), scale) if needs[1] else None
        for_shift = gradient.flatten(0, -2).sum(0) if needs[4] else None
        return for_x, for_weight, None, None, for_shift, gradient if needs[5] else None, None


def _scaled(weight: Tensor, scale: Tensor | None) -> Tensor:
    return weight if scale is None else weight * scale[:, None, None, None]


def _planes(rows: Tensor) -> Tensor:
    """Rows (N, H, W, C) as maps (N, C, H, W), each channel contiguous."""
    return rows.permute(0, 3, 1, 2).contiguous()
