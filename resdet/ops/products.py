"""Rows times fixed weights, by torch's matrix product or by oneDNN's, which packs a weight once as the processor likes it.

Which is faster is a property of the processor: on some torch's ``mm`` is near their limit, on others oneDNN computes twice as
fast. So each product here comes in both ways, of the same results but for rounding, and ``resdet.ops.kernels`` measures.

The operations of oneDNN are torch's own, which its compiler calls, but not public: ``onednn_works`` looks whether they are
there and compute what they should, and where they do not only ``torch`` is offered.

Legend: R rows, C numbers a row, K numbers a row of the result, F products side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resdet.ops.kernels import Kernels, described, random_like, same_but_for_rounding

# rows that sums are made of at a time, so that a product is added while it is still near, and that a way is measured on
SLICE = 1024


class _Plain(nn.Module):
    """What has a weight (C, K) and a bias (K,) as they are."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous())
        self.register_buffer("bias", bias)


class TorchProduct(_Plain):
    """``x W + b`` of rows x (R, C), perhaps with a ReLU.

    Args:
        weight: (C, K).
        bias: (K,).
    """

    def forward(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Rows (R, C) to (R, K), in memory of their own."""
        y = torch.addmm(self.bias, x, self.weight)
        return y.relu_() if relu else y


class Packed(nn.Module):
    """What has weights packed for this processor: they stay where they are, and are copied and written as plain ones.

    Attributes:
        packed: (K, C) each.
        rows: how many they are packed for.
    """

    packed: list[Tensor]
    rows: int

    def _pack(self, weights: Iterable[Tensor], rows: int) -> None:
        """Weights (C, K)."""
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
    """``TorchProduct`` by oneDNN."""

    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self._pack([weight], SLICE)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Rows (R, C) to (R, K), in memory of their own."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed[0], self.bias, "relu" if relu else "none", [], "")
        return y


class TorchSum(_Plain):
    """``relu(z + x W + b)`` in the place of z (R, K), of rows x (R, C).

    Args:
        weight: (C, K).
        bias: (K,).
    """

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Returns ``z``."""
        for rows, sums in zip(x.split(SLICE), z.split(SLICE), strict=True):
            sums.addmm_(rows, self.weight).add_(self.bias).relu_()
        return z


class OneDNNSum(nn.Module):
    """``TorchSum`` by oneDNN."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.product = OneDNNProduct(weight, bias)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """Returns ``z``."""
        for rows, sums in zip(x.split(SLICE), z.split(SLICE), strict=True):
            sums.add_(self.product(rows)).relu_()
        return z


class TorchProducts(nn.Module):
    """F products side by side, of rows (F, R, C) with weights (F, C, K)."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous())

    def forward(self, x: Tensor, out: Tensor) -> Tensor:
        """Rows (F, R, C) to ``out`` (F, R, K), which is returned."""
        return torch.bmm(x, self.weight, out=out)


class OneDNNProducts(Packed):
    """``TorchProducts`` by oneDNN, one after the other."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self._pack(weight, SLICE // 8)

    def forward(self, x: Tensor, out: Tensor) -> Tensor:
        """Rows (F, R, C) to ``out`` (F, R, K), which is returned."""
        for rows, packed, result in zip(x, self.packed, out, strict=True):
            result.copy_(torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], ""))
        return out


def product(weight: Tensor, bias: Tensor, kernels: Kernels) -> nn.Module:
    """What computes ``x W + b`` fastest here, a ``TorchProduct`` or what gives the same; weight (C, K), bias (K,)."""

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        x = random_like(weight, SLICE, len(weight))
        return lambda: way(x, relu=True)

    return _fastest("product", {"torch": TorchProduct, "onednn": OneDNNProduct}, (weight, bias), trial, kernels)


def summed_product(weight: Tensor, bias: Tensor, kernels: Kernels) -> nn.Module:
    """What computes ``relu(z + x W + b)`` in place fastest here, a ``TorchSum`` or what gives the same."""

    def trial(way: nn.Module) -> Callable[[], Tensor]:
        x, z = random_like(weight, SLICE, len(weight)), weight.new_zeros(SLICE, weight.shape[1])
        return lambda: way(z.zero_(), x)

    return _fastest("sum", {"torch": TorchSum, "onednn": OneDNNSum}, (weight, bias), trial, kernels)


def products(weight: Tensor, kernels: Kernels) -> nn.Module:
    """What computes F products side by side fastest here, a ``TorchProducts`` or what gives the same; weight (F, C, K)."""
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
    """The fastest of the ways that this machine has, made of ``tensors``, the weight first; measured made of ``sample``."""
    weight = tensors[0]
    here = [name for name in ways if name == "torch" or onednn_works(weight.dtype, weight.device)]
    question = f"{kind} {described(weight.dtype, weight.shape)}"
    name = kernels.fastest(question, here, lambda way: trial(ways[way](*(sample or tensors))))
    return ways[name](*tensors)


@functools.cache
def onednn_works(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch has oneDNN's operations for numbers of this dtype here, and they give what a matrix product gives."""
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
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):  # not there, or of other arguments
        return False
    terms = len(weight) + 2
    return same_but_for_rounding(found, exact, terms) and same_but_for_rounding(added, (exact + z.double()).relu(), terms)


def has_bfloat16() -> bool:
    """Whether this processor computes with bfloat16, and not only stores it."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False
