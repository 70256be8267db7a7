"""A convolution in training on rows, with its frozen BN, a sum and a ReLU in one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.models.backbones.misfit import has_global_hooks
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.ops.fused_conv import Direct, Pointwise, Product, fused_conv
from resdet.ops.matmul import Matmul
from resdet.ops.winograd import Winograd


def tensor_misfit(x: Tensor) -> str:
    """Why nothing on rows is computed of ``x`` (N, C, H, W) now; "" where it is.

    GPUs have kernels of their own for all of it, and ``torch.compile`` makes them.
    """
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return f"{x.dtype} on {x.device.type}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    if torch.compiler.is_compiling():
        return "it is being compiled"
    return "hooks of all modules" if has_global_hooks() else ""


def conv_on_rows(
    rows: Tensor,
    conv: nn.Conv2d,
    norm: nn.Module | None,
    matmul: Matmul,
    *,
    residual: Tensor | None = None,
    relu: bool = True,
) -> Tensor:
    """``relu(norm(conv(rows)) + residual)``.

    Args:
        rows: (N, H, W, C).
        conv: one of which ``conv_misfit`` has nothing to say …
        norm: … with this one after it.
        matmul: how products are computed.
        residual: (N, H', W', C') or None.
        relu: False leaves the ReLU out.

    Returns:
        Rows (N, H', W', C').
    """
    side, stride = conv.kernel_size[0], conv.stride[0]
    product: Product
    if conv.groups > 1:
        product = Direct(stride, side // 2, conv.groups)
    elif side == 1:
        rows, product = rows[:, ::stride, ::stride], Pointwise(matmul)
    elif side == 3 and stride == 1:
        product = Winograd(matmul)
    else:
        product = Direct(stride, side // 2)
    scale, shift = norm.affine() if isinstance(norm, FrozenBatchNorm2d) else (None, conv.bias)
    return fused_conv(rows, conv.weight, product, scale=scale, shift=shift, residual=residual, relu=relu)
