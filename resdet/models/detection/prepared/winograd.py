"""3×3 convolutions of large maps by Winograd's algorithm (``resdet.ops.winograd``), the kernels transformed once.

Legend: N maps of H × W positions, C and C' channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resdet.ops.kernels import Kernels
from resdet.ops.products import products
from resdet.ops.winograd import IN, OUT, winograd_transforms


class WinogradConvolution(nn.Module):
    """A 3×3 convolution with bias, stride 1 and a border of zeros, and the ReLU after it.

    Args:
        weight: (C', C, 3, 3).
        bias: (C',).
        kernels: how its 36 products are computed.
    """

    into: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, kernels: Kernels) -> None:
        super().__init__()
        into, of_kernel, back = (each.to(weight.device) for each in winograd_transforms())
        kernel = torch.einsum("fk,ock->fco", of_kernel, weight.flatten(2).double()).to(weight.dtype)
        self.register_buffer("into", into.to(weight.dtype))
        self.products = products(kernel, kernels)
        # the bias is one more product, which is added to every output
        self.register_buffer("back", torch.cat([back, torch.ones_like(back[:, :1])], 1).to(weight.dtype))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, H, W, C) to (N, H, W, C')."""
        count, height, width, channels = x.shape
        down, across = -(-height // OUT), -(-width // OUT)
        padded = F.pad(x, (0, 0, 1, across * OUT + 1 - width, 1, down * OUT + 1 - height))
        tiles = padded.unfold(1, IN, OUT).unfold(2, IN, OUT)  # (N, down, across, C, IN, IN)
        tiles = tiles.permute(4, 5, 0, 1, 2, 3).reshape(IN * IN, -1)
        transformed = torch.mm(self.into, tiles).view(IN * IN, -1, channels)
        multiplied = x.new_empty(IN * IN + 1, transformed.shape[1], len(self.bias))
        self.products(transformed, multiplied[:-1])
        multiplied[-1] = self.bias
        out = torch.mm(self.back, multiplied.flatten(1)).relu_().view(OUT, OUT, count, down, across, -1)
        out = out.permute(2, 3, 0, 4, 1, 5).reshape(count, down * OUT, across * OUT, -1)
        return out[:, :height, :width]
