"""3×3 convolutions of small maps by the discrete Fourier transform (``resdet.ops.fourier``), the kernels transformed once.

Legend: S = n * n positions, R regions, C and C' channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.models.detection.prepared.room import Room
from resdet.ops.fourier import fourier_transforms


class FourierConvolution(nn.Module):
    """A 3×3 convolution with bias, stride 1 and a border of zeros, on n×n maps in the order (position, region).

    Args:
        weight: (C', C, 3, 3).
        bias: (C',).
        side: n.
    """

    into: Tensor
    kernel: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, side: int) -> None:
        super().__init__()
        of_map, of_kernel, back = (each.to(weight.device) for each in fourier_transforms(side))
        kernel = torch.einsum("fk,ock->fco", of_kernel.to(weight.dtype), weight.flatten(2))
        # constants of a map, a number a channel, are one more row of it: so biases cost nothing
        self.register_buffer("into", torch.cat([of_map, of_map.sum(1, keepdim=True)], 1).to(weight))
        self.register_buffer("kernel", kernel.contiguous())
        self.register_buffer("back", torch.cat([back, torch.ones_like(back[:, :1])], 1).to(weight))
        self.register_buffer("bias", bias)

    def forward(self, maps: Tensor, room: Room) -> Tensor:
        """Convolve (S + 1, R, C), of which the last row is added to all others, to (S, R, C') in ``room``."""
        products, regions = len(self.kernel), maps.shape[1]
        transformed = room("transformed", products, regions, maps.shape[2])
        multiplied = room("multiplied", products + 1, regions, len(self.bias))
        out = room("convolved", len(self.back), regions, len(self.bias))
        torch.mm(self.into, maps.flatten(1), out=transformed.flatten(1))
        torch.bmm(transformed, self.kernel, out=multiplied[:-1])
        multiplied[-1] = self.bias
        torch.mm(self.back, multiplied.flatten(1), out=out.flatten(1))
        return out
