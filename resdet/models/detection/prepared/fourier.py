"""3×3 convolutions of small maps by the discrete Fourier transform (``resdet.ops.fourier``), the kernels transformed once.

Legend: S = n * n positions, R regions, C and C' channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.models.detection.prepared.room import Room
from resdet.ops.fourier import fourier_transforms
from resdet.ops.kernels import Kernels
from resdet.ops.products import products


class FourierConvolution(nn.Module):
    """A 3×3 convolution with bias, stride 1 and a border of zeros, and the ReLU after it, in the order (position, region).

    Args:
        weight: (C', C, 3, 3).
        bias: (C',).
        side: n.
        kernels: how its products are computed.
    """

    into: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, side: int, kernels: Kernels) -> None:
        super().__init__()
        into, of_kernel, back = (each.to(weight.device) for each in fourier_transforms(side))
        kernel = torch.einsum("fk,ock->fco", of_kernel.to(weight.dtype), weight.flatten(2))
        self.register_buffer("into", into.to(weight.dtype))
        self.products = products(kernel, kernels)
        # the bias is one more product, which is added to every output
        self.register_buffer("back", torch.cat([back, torch.ones_like(back[:, :1])], 1).to(weight.dtype))
        self.register_buffer("bias", bias)

    def forward(self, maps: Tensor, room: Room) -> Tensor:
        """Maps (S, R, C) to (S, R, C') in ``room``."""
        count, regions = len(self.into), maps.shape[1]
        transformed = room("transformed", count, regions, maps.shape[2])
        multiplied = room("multiplied", count + 1, regions, len(self.bias))
        out = room("convolved", len(self.back), regions, len(self.bias))
        torch.mm(self.into, maps.flatten(1), out=transformed.flatten(1))
        self.products(transformed, multiplied[:-1])
        multiplied[-1] = self.bias
        torch.mm(self.back, multiplied.flatten(1), out=out.flatten(1))
        return out.relu_()
