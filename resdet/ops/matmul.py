"""Products of two matrices that change from step to step, as training has them: by torch, or by oneDNN as it is fastest here.

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
    """A (M, C) times b (C, K), or F of them: (F, M, C) and (F, C, K)."""
    return a @ b


def onednn_matmul(a: Tensor, b: Tensor) -> Tensor:
    """``torch_matmul`` by oneDNN; numbers of which ``onednn_works``, without gradients."""
    if a.dim() == 3:
        out = a.new_empty(len(a), a.shape[1], b.shape[2])
        for result, one, other in zip(out, a, b, strict=True):
            result.copy_(onednn_matmul(one, other))
        return out
    if not a.shape[1]:  # the gradient of a weight that nothing was multiplied by: no regions were sampled
        return a.new_zeros(a.shape[0], b.shape[1])
    if a.shape[0] > b.shape[1] and not a.is_contiguous():
        # the first of the two is copied where it is not in the order of its rows: better the smaller one
        return onednn_matmul(b.t(), a.t()).t().contiguous()
    if not (b.is_contiguous() or b.t().is_contiguous()):
        b = b.contiguous()  # a part of a larger matrix takes it a hundred times as long
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return product


MATMULS: dict[str, Matmul] = {"torch": torch_matmul, "onednn": onednn_matmul}


def fastest_matmul(shapes: Iterable[tuple[int, int]], dtype: torch.dtype, kernels: Kernels) -> str:
    """The name of the one of ``MATMULS`` that takes a step of training in the shortest time here.

    Args:
        shapes: (C, K) of the network's 1×1 convolutions: for each three products are measured, of the way there, of the
            gradient of its input and of its weight.
        dtype: of the numbers.
        kernels: remembers.
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
