"""3×3 convolution by Winograd's algorithm F(4×4, 3×3): 36 products for 16 results in place of 144 (Lavin and Gray, 2015).

For a tile d (6×6) of the input and a kernel g (3×3), the tile y (4×4) of the result is ``y = back (kernel(g) ⊙ into(d))``. With
channels, the products in the brackets are 36 matrix products, each of one number of all tiles with one of all kernels. Each
transform is linear in the numbers of a tile, so it is one product with a matrix; gradients go back through the same steps.

Legend: N images, H × W positions, C channels in, K channels out, T tiles of some images together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from resdet.ops.matmul import Matmul, torch_matmul

OUT, IN = 4, 6  # outputs and inputs of a tile along one axis
# the points decide the rounding error: with these it is less than half of that with the usual points 0, ±1 and ±2, and 1.5
# times that of the definition
POINTS = (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)


def winograd_transforms() -> tuple[Tensor, Tensor, Tensor]:
    """The transforms of tiles (36, 36), of kernels (36, 9) and back to tiles (16, 36), float64: conv = back @ (kernel * tile).

    Four outputs of a three-tap filter along one axis, transposed, are a product of two polynomials, of degree 3 and 2; six
    values determine it, at five points and at infinity: ``y = A (G w · B d)`` for six inputs ``d``, with ``B`` the inverse
    of the Vandermonde matrix of six columns, transposed, ``G`` that of three columns, and ``A`` that of four, transposed
    (Lavin and Gray 2015, section 4.1); rows of ``B`` are multiplied, and those of ``G`` divided, by the product of a
    point's distances. In two dimensions the matrices are Kronecker products with themselves. Tiles overlap by two
    positions.
    """
    points = torch.tensor(POINTS, dtype=torch.float64)
    differences = points[:, None] - points + torch.eye(len(points), dtype=torch.float64)
    scale = torch.cat([differences.prod(1), differences.new_ones(1)])[:, None]

    def values(coefficients: int) -> Tensor:
        """The powers at the points, and at infinity, where only the last power counts."""
        infinity = torch.zeros(1, coefficients, dtype=torch.float64)
        infinity[0, -1] = 1
        return torch.cat([points[:, None] ** torch.arange(coefficients), infinity])

    into, of_kernel, back = torch.linalg.inv(values(IN)).t() * scale, values(3) / scale, values(OUT).t()
    return torch.kron(into, into), torch.kron(of_kernel, of_kernel), torch.kron(back, back)


# once: a step of training asks for them a hundred times. Arrays, for a tensor would keep the mode it was made in
_MATRICES = tuple(each.numpy() for each in winograd_transforms())


class Winograd:
    """The 3×3 convolution of stride 1 and padding 1 of rows (N, H, W, C), a ``resdet.ops.fused_conv.Product``.

    Args:
        matmul: computes the matrix products.
    """

    def __init__(self, matmul: Matmul = torch_matmul) -> None:
        self.matmul = matmul

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolve x (N, H, W, C) with weight (K, C, 3, 3) to (N, H, W, K)."""
        to_kernels = _transforms(x)[1]

        def kernels_of(block: slice) -> Tensor:
            return _transformed(to_kernels, weight[block], self.matmul).transpose(1, 2)

        return _convolve(x, len(weight), kernels_of, self.matmul)

    def input_gradient(self, gradient: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """The gradient is a convolution with the rotated kernels, from channels out to channels in."""
        to_kernels = _transforms(gradient)[1].flip(1)

        def kernels_of(block: slice) -> Tensor:
            return _transformed(to_kernels, weight[:, block], self.matmul)

        return _convolve(gradient, like.shape[-1], kernels_of, self.matmul)

    def weight_gradient(self, gradient: Tensor, x: Tensor, like: Tensor) -> Tensor:
        """The gradient, back through the three transforms."""
        channels, out = x.shape[-1], gradient.shape[-1]
        weight = x.new_zeros(like.shape)
        _, to_kernels, to_result = _transforms(x)
        for images in _parts(x):
            tiles = _input_tiles(x[images])
            for block in parts(out, 36 * channels):
                cut = _cut(gradient[images][..., block], OUT, 0)
                products = (to_result.t() @ cut.flatten(1)).view(36, *cut.shape[1:])
                kernels = self.matmul(products.transpose(1, 2), tiles)
                weight[block] += (to_kernels.t() @ kernels.flatten(1)).t().view_as(weight[block])
        return weight


def parts(count: int, numbers: int) -> Iterator[slice]:
    """Slices of ``count`` items of ``numbers`` numbers each, at most 28 MB in float32, in multiples of 64 when possible.

    The system would allocate larger pieces again each time, page by page, which costs as much as the computation in them.
    """
    step = max(1, 7_000_000 // numbers)
    step -= step % 64 if step > 64 else 0  # whole registers for the products
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _convolve(x: Tensor, out: int, kernels_of: Callable[[slice], Tensor], matmul: Matmul) -> Tensor:
    """Convolve x (N, H, W, C) to (N, H, W, ``out``); ``kernels_of`` gives the transformed kernels (36, C, k) of k outputs."""
    height, width, channels = x.shape[1:]
    down, across = -(-height // 4), -(-width // 4)
    y = x.new_empty(len(x), height, width, out)
    to_result = _transforms(x)[2]
    for images in _parts(x):
        tiles = _input_tiles(x[images])
        for block in parts(out, 36 * channels):
            products = matmul(tiles, kernels_of(block))
            result = (to_result @ products.flatten(1)).view(4, 4, -1, down, across, products.shape[-1])
            whole = result.permute(2, 3, 0, 4, 1, 5).reshape(-1, 4 * down, 4 * across, products.shape[-1])
            y[images][..., block] = whole[:, :height, :width]
    return y


def _parts(x: Tensor) -> Iterator[slice]:
    """Slices of the images of x (N, H, W, C), by the size of their tiles."""
    height, width, channels = x.shape[1:]
    return parts(len(x), 36 * -(-height // 4) * -(-width // 4) * channels)


def _transformed(to_kernels: Tensor, weight: Tensor, matmul: Matmul) -> Tensor:
    """Transform kernels (K, C, 3, 3) to (36, K, C)."""
    return matmul(to_kernels, weight.reshape(-1, 9).t()).view(-1, *weight.shape[:2])


def _input_tiles(x: Tensor) -> Tensor:
    """Every tile of x (N, H, W, C), transformed, (36, T, C)."""
    cut = _cut(x, IN, 1)
    return (_transforms(x)[0] @ cut.flatten(1)).view(cut.shape)


def _cut(x: Tensor, side: int, border: int) -> Tensor:
    """Every tile of ``side`` positions, 4 apart and the first ``border`` before the map, zeros outside: (side², T, C)."""
    height, width, channels = x.shape[1:]
    below, right = (-size % 4 + border for size in (height, width))
    padded = F.pad(x, (0, 0, border, right, border, below))
    return padded.unfold(1, side, 4).unfold(2, side, 4).permute(4, 5, 0, 1, 2, 3).reshape(side**2, -1, channels)


def _transforms(like: Tensor) -> list[Tensor]:
    return [torch.from_numpy(each).to(like) for each in _MATRICES]
