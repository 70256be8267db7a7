"""Training of networks with frozen BN on a CPU: convolutions on rows, each with its BN, sum and ReLU in one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.ops.fused_conv import Direct, Pointwise, Product, fused_conv
from resdet.ops.winograd import Winograd


def trains_on_rows(module: nn.Module, x: Tensor) -> bool:
    """Whether ``module`` in this pass over ``x`` (N, C, H, W) may use ``conv_on_rows``.

    It must be in training mode, with gradients or without, on a CPU, in float32 or float64, and all of its BN frozen. Else the
    plain layers run: GPUs have kernels of their own for all of it, and ``torch.compile`` makes them.
    """
    return (
        module.training
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    )


def conv_on_rows(
    rows: Tensor, conv: nn.Conv2d, norm: nn.Module | None, *, residual: Tensor | None = None, relu: bool = True
) -> Tensor:
    """``relu(norm(conv(rows)) + residual)``.

    Args:
        rows: (N, H, W, C).
        conv: without groups and dilation.
        norm: a ``FrozenBatchNorm2d`` after a convolution without bias, or None.
        residual: (N, H', W', C') or None.
        relu: False leaves the ReLU out.

    Returns:
        Rows (N, H', W', C').
    """
    side, stride = conv.kernel_size[0], conv.stride[0]
    product: Product
    if side == 1:
        rows, product = rows[:, ::stride, ::stride], Pointwise()
    elif side == 3 and stride == 1:
        product = Winograd()
    else:
        product = Direct(stride, side // 2)
    scale, shift = norm.affine() if isinstance(norm, FrozenBatchNorm2d) else (None, conv.bias)
    return fused_conv(rows, conv.weight, product, scale=scale, shift=shift, residual=residual, relu=relu)
