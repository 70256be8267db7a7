"""Multiplies rows with fixed weights, by torch's matrix product or by oneDNN's, which packs a weight once for the processor.

Which one is faster depends on the processor: on some, torch's ``mm`` is near the limit, and on others oneDNN is twice as fast.
So each product here comes in both ways, with the same results up to rounding, and ``resdet.ops.kernels`` measures them.

The oneDNN operations belong to torch, whose compiler calls them, but they are not public. ``onednn_works`` checks that they
exist and give right results; otherwise only ``torch`` is offered.

Legend: R rows, C numbers a row, K numbers a row of the result, F products side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resdet.ops.kernels import Kernels, described, random_like, same_but_for_rounding

# rows for each partial sum, so that a product is added while it is in the cache; ways are measured on as many rows
SLICE = 1024


class _Plain(nn.Module):
    """A module that keeps a weight (C, K) and a bias (K,) unchanged."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous())
        self.register_buffer("bias", bias)


class TorchProduct(_Plain):
    """Computes ``x W + b`` for rows x (R, C), with or without a ReLU.

    Args:
        weight: (C, K).
        bias: (K,).
    """

    def forward(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Turn rows (R, C) into (R, K), in new memory."""
        y = torch.addmm(self.bias, x, self.weight)
        return y.relu_() if relu else y


class Packed(nn.Module):
    """A module whose weights are packed for this processor. They stay on it, and are copied and saved unpacked.

    Attributes:
        packed: the packed weights, (K, C) each.
        rows: the number of rows that they are packed for.
    """

    packed: list[Tensor]
    rows: int

    def _pack(self, weights: Iterable[Tensor], rows: int) -> None:
        """Pack weights (C, K) for so many rows."""
        self.rows = rows
        self.packed = [torch.ops.mkldnn._reorder_linear_weight(each.t().contiguous(), rows) for each in weights]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "packed": [each.to_dense() for each in self.packed]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        dense: list[Tensor] = state["packed"]
        if not onednn_works(dense[0].dtype, torch.device("cpu")):
            raise RuntimeError("weights packed for oneDNN, which torch does not have here: prepare the detector where it runs")
        self._pack([each.t() for each in dense], state["rows"])


class OneDNNProduct(Packed):
    """The same as ``TorchProduct``, by oneDNN."""

    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self._pack([weight], SLICE)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Turn rows (R, C) into (R, K), in new memory."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed[0], self.bias, "relu" if relu else "none", [], "")
        return y


class TorchSum(_Plain):
    """Computes ``relu(z + x W + b)`` for rows x (R, C), and writes it into z (R, K).

    Args:
        weight: (C, K).
        bias: (K,).
    """

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Change ``z`` in place and return it."""
        for rows, sums in zip(x.split(SLICE), z.split(SLICE), strict=True):
            sums.addmm_(rows, self.weight).add_(self.bias).relu_()
        return z


class OneDNNSum(nn.Module):
    """The same as ``TorchSum``, by oneDNN."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.product = OneDNNProduct(weight, bias)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Change ``z`` in place and return it."""
        for rows, sums in zip(x.split(SLICE), z.split(SLICE), strict=True):
            sums.add_(self.product(rows)).relu_()
        return z


class TorchProducts(nn.Module):
    """Computes F products side by side, of rows (F, R, C) with weights (F, C, K)."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous())

    def forward(self, x: Tensor, out: Tensor) -> Tensor:
        """Write the products of rows (F, R, C) into ``out`` (F, R, K) and return it."""
        return torch.bmm(x, self.weight, out=out)


class OneDNNProducts(Packed):
    """The same as ``TorchProducts``, by oneDNN, one product after the other."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self._pack(weight, SLICE // 8)

    def forward(self, x: Tensor, out: Tensor) -> Tensor:
        """Write the products of rows (F, R, C) into ``out`` (F, R, K) and return it."""
        for rows, packed, result in zip(x, self.packed, out, strict=True):
            result.copy_(torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], ""))
        return out


def product(weight: Tensor, bias: Tensor, kernels: Kernels) -> nn.Module:
    """The fastest module here for ``x W + b``, a ``TorchProduct`` or its equal; weight (C, K), bias (K,)."""

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        x = random_like(weight, SLICE, len(weight))
        return lambda: way(x, relu=True)

    return _fastest("product", {"torch": TorchProduct, "onednn": OneDNNProduct}, (weight, bias), trial, kernels)


def summed_product(weight: Tensor, bias: Tensor, kernels: Kernels) -> nn.Module:
    """The fastest module here for ``relu(z + x W + b)`` in place, a ``TorchSum`` or its equal."""

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        x, z = random_like(weight, SLICE, len(weight)), weight.new_zeros(SLICE, weight.shape[1])
        return lambda: way(z.zero_(), x)

    return _fastest("sum", {"torch": TorchSum, "onednn": OneDNNSum}, (weight, bias), trial, kernels)


def products(weight: Tensor, kernels: Kernels) -> nn.Module:
    """The fastest module here for F products side by side, a ``TorchProducts`` or its equal; weight (F, C, K)."""
    some = weight[: max(1, len(weight) // 4)]

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        x = random_like(weight, SLICE // 8, weight.shape[1]).expand(len(some), -1, -1).contiguous()
        out = x.new_empty(*x.shape[:2], weight.shape[2])
        return lambda: way(x, out)

    return _fastest("products", {"torch": TorchProducts, "onednn": OneDNNProducts}, (weight,), trial, kernels, sample=(some,))


def _fastest(
    kind: str,
    ways: Mapping[str, Callable[..., nn.Module]],
    tensors: tuple[Tensor, ...],
    trial: Callable[[nn.Module], Callable[[], Tensor]],
    kernels: Kernels,
    sample: tuple[Tensor, ...] | None = None,
) -> nn.Module:
    """The fastest way on this machine, built from ``tensors`` (the weight first) after measuring ways built from ``sample``."""
    weight = tensors[0]
    here = [name for name in ways if name == "torch" or onednn_works(weight.dtype, weight.device)]
    question = f"{kind} {described(weight.dtype, weight.shape)}"
    name = kernels.fastest(question, here, lambda way: trial(ways[way](*(sample or tensors))))
    return ways[name](*tensors)


@functools.cache
def onednn_works(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch has oneDNN's operations for this dtype and device, and they give the result of a matrix product."""
    if device.type != "cpu" or dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.bfloat16 and not has_bfloat16():
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight, z = (torch.randn(*shape, generator=generator).to(dtype) for shape in ((33, 40), (40, 24), (33, 24)))
    bias = z[0].clone()
    exact = x.double() @ weight.double() + bias.double()
    try:
        found = OneDNNProduct(weight, bias)(x)
        added = OneDNNSum(weight, bias)(z.clone(), x)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):  # missing, or with other arguments
        return False
    terms = len(weight) + 2
    return same_but_for_rounding(found, exact, terms) and same_but_for_rounding(added, (exact + z.double()).relu(), terms)


def has_bfloat16() -> bool:
    """Whether this processor can compute with bfloat16, and not only store it."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False
