"""3×3 convolutions of small maps by the discrete Fourier transform.

A 3×3 convolution with a border of zeros of an n×n map is, along each axis, a product of polynomials of which n coefficients are
read, the first and the last of n + 2 are not. In a *cyclic* convolution of length n + 1 just these two fall onto one another;
so the transform of length n + 1 gives the map without any padding: y = inverse(transform(w) · transform(x)), a product a
frequency. Frequencies come in conjugate pairs; of a pair one complex product is needed, and that is three real ones (Gauss)::

    (a + bi)(c + di) = (k1 - k3) + (k1 + k2)i,    k1 = c (a + b),  k2 = a (d - c),  k3 = b (c + d)

A 7×7 map needs 94 products in place of 441, a 4×4 map 37 in place of 144. All three transforms are real and linear: matrices.
Being orthogonal up to scale and the sums of Gauss, they keep the precision of the numbers (a Winograd algorithm with as few
products would not).

Legend: S = n * n positions, F products, R maps, C channels in, K channels out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from resdet.ops.matmul import Matmul, torch_matmul
from resdet.ops.winograd import parts


def fourier_transforms(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The transforms of maps (F, S), of kernels (F, 9) and back to maps (S, F), float64: conv = back @ (kernel * map)."""
    length = side + 1
    frequencies = [(u, v) for u in range(length) for v in range(length)]
    of_map, of_kernel, back = [], [], []
    for u, v in frequencies:
        mirror = (-u % length, -v % length)
        if mirror < (u, v):
            continue
        cos, sin = _waves(u, v, length, torch.arange(side))
        # this is a correlation: the kernel's transform is conjugate, and the kernel's centre is its origin
        kernel_cos, kernel_sin = _waves(u, v, length, torch.arange(-1, 2))
        if mirror == (u, v):
            of_map.append(cos)
            of_kernel.append(kernel_cos)
            back.append(cos / length**2)
            continue
        a, b, c, d = cos, -sin, kernel_cos, kernel_sin
        of_map += [a + b, a, b]
        of_kernel += [c, d - c, c + d]
        # the real part of (k1 - k3 + (k1 + k2) i)(cos + i sin), for this frequency and its mirror
        back += [each * 2 / length**2 for each in (cos - sin, -sin, -cos)]
    return torch.stack(of_map), torch.stack(of_kernel), torch.stack(back, 1)


def _waves(u: int, v: int, length: int, places: Tensor) -> tuple[Tensor, Tensor]:
    phase = (u * places[:, None] + v * places[None]).flatten().double() * (2 * math.pi / length)
    return phase.cos(), phase.sin()


class Fourier:
    """The 3×3 convolution of stride 1 and padding 1 of small maps, rows (n * n, R, C), a ``resdet.ops.fused_conv.Product``.

    Args:
        side: n, the side of the maps.
        like: a tensor with the wanted dtype and device.
        matmul: computes the matrix products.
    """

    def __init__(self, side: int, like: Tensor, matmul: Matmul = torch_matmul) -> None:
        self.matmul = matmul
        self.of_map, self.of_kernel, self.back = (each.to(like) for each in fourier_transforms(side))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """Rows (n * n, R, C) and weight (K, C, 3, 3) to (n * n, R, K)."""
        maps = _mixed(self.of_map, x)
        y = x.new_empty(*x.shape[:2], len(weight))
        for block in parts(len(weight), len(maps) * weight.shape[1]):
            y[..., block] = _mixed(self.back, self.matmul(maps, self._kernels(weight[block]).transpose(1, 2)))
        return y

    def input_gradient(self, gradient: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """The gradient, back through the transforms of the result and of the map."""
        products = _mixed(self.back.t(), gradient)
        result = torch.empty_like(like)
        for block in parts(weight.shape[1], len(products) * len(weight)):
            result[..., block] = _mixed(self.of_map.t(), self.matmul(products, self._kernels(weight[:, block])))
        return result

    def weight_gradient(self, gradient: Tensor, x: Tensor, like: Tensor) -> Tensor:
        """The gradient, back through the transforms of the result and of the kernels."""
        maps = _mixed(self.of_map, x)
        result = x.new_empty(like.shape)
        for block in parts(len(like), len(maps) * like.shape[1]):
            kernels = self.matmul(_mixed(self.back.t(), gradient[..., block]).transpose(1, 2), maps)
            result[block] = (self.of_kernel.t() @ kernels.flatten(1)).t().view_as(result[block])
        return result

    def _kernels(self, weight: Tensor) -> Tensor:
        """Transform kernels (K, C, 3, 3) to (F, K, C)."""
        return self.matmul(self.of_kernel, weight.reshape(-1, 9).t()).view(-1, *weight.shape[:2])


def _mixed(transform: Tensor, rows: Tensor) -> Tensor:
    """Apply a linear map to the first axis."""
    return (transform @ rows.flatten(1)).view(len(transform), *rows.shape[1:])
