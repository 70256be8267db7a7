"""Products of two matrices that both change at each step, as in training, by torch or by oneDNN, whichever is faster here.

Legend: M rows, C numbers that are summed over, K columns, F products side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from resdet.ops.kernels import Kernels, described
from resdet.ops.products import SLICE, onednn_works

Matmul = Callable[[Tensor, Tensor], Tensor]


def torch_matmul(a: Tensor, b: Tensor) -> Tensor:
    """The product of a (M, C) and b (C, K), or F such products of (F, M, C) and (F, C, K)."""
    return a @ b


def onednn_matmul(a: Tensor, b: Tensor) -> Tensor:
    """The same as ``torch_matmul`` by oneDNN, without gradients, for dtypes and devices where ``onednn_works``."""
    if a.dim() == 3:
        out = a.new_empty(len(a), a.shape[1], b.shape[2])
        for result, one, other in zip(out, a, b, strict=True):
            result.copy_(onednn_matmul(one, other))
        return out
    if not a.shape[1]:  # the gradient of a weight that was multiplied with no rows, because no regions were sampled
        return a.new_zeros(a.shape[0], b.shape[1])
    if a.shape[0] > b.shape[1] and not a.is_contiguous():
        # oneDNN copies the first matrix when it is not stored row by row, so the smaller one comes first
        return onednn_matmul(b.t(), a.t()).t().contiguous()
    if not (b.is_contiguous() or b.t().is_contiguous()):
        b = b.contiguous()  # oneDNN takes a hundred times as long on a part of a larger matrix
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return product


MATMULS: dict[str, Matmul] = {"torch": torch_matmul, "onednn": onednn_matmul}


def fastest_matmul(shapes: Iterable[tuple[int, int]], dtype: torch.dtype, kernels: Kernels) -> str:
    """The name of the function in ``MATMULS`` that is fastest for a training step on this machine.

    Args:
        shapes: (C, K) of the network's 1×1 convolutions. For each, three products are measured: the forward pass, and the
            gradients of the input and of the weight.
        dtype: the dtype of the numbers.
        kernels: measures, and remembers the answers.
    """
    own = sorted(set(shapes))
    ways = ["torch", *(["onednn"] if onednn_works(dtype, torch.device("cpu")) else [])]

    def trial(way: str) -> Callable[[], Tensor]:
        generator, matmul = torch.Generator().manual_seed(0), MATMULS[way]
        tensors = [
            tuple(torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((SLICE, c), (k, c), (SLICE, k)))
            for c, k in own
        ]

        def run() -> Tensor:
            sums = [(matmul(x, w.t()).sum(), matmul(g, w).sum(), matmul(g.t(), x).sum()) for x, w, g in tensors]
            return torch.stack([each for three in sums for each in three])

        return run

    return kernels.fastest(f"training {described(dtype, *own)}", ways, trial)
