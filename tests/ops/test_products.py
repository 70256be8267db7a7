"""Every way of a product of rows by fixed weights against float64, and torch's own where oneDNN's are missing or wrong."""

from __future__ import annotations

import copy
import pickle
import platform
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from rounding import assert_within, gamma, unit
from torch import Tensor, nn

from resdet.ops import products as module
from resdet.ops.kernels import Kernels
from resdet.ops.products import (
    SLICE,
    OneDNNProduct,
    OneDNNProducts,
    OneDNNSum,
    TorchProduct,
    TorchProducts,
    TorchSum,
    has_bfloat16,
    onednn_works,
    product,
    products,
    summed_product,
)

CPU = torch.device("cpu")
OPERATIONS = ("_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
# rows, numbers a row, numbers of the result
SHAPES = [
    *[(0, 3, 5), (1, 1, 1), (1, 64, 32), (7, 1, 9), (7, 9, 1), (33, 40, 24), (13, 17, 19), (255, 127, 65)],
    *[(3, 5000, 2), (2, 2, 3000), (SLICE, 8, 8), (SLICE + 1, 7, 11), (2 * SLICE + 5, 16, 4)],
]
DTYPES = [torch.float32, torch.bfloat16, torch.float64]


def ways(dtype: torch.dtype) -> list[str]:
    if dtype == torch.bfloat16 and not has_bfloat16():
        pytest.skip("the processor does not compute with bfloat16")
    return ["torch", *(["onednn"] if onednn_works(dtype, CPU) else [])]


def random(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def rounding(dtype: torch.dtype, terms: int, sizes: Tensor) -> Tensor:
    """The error of sums in float32 at least, of terms of these sizes; in 16 bits results are rounded once for three steps."""
    return (gamma(terms + 3, torch.promote_types(dtype, torch.float32)) + 3 * unit(dtype)) * sizes


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "inside", "out"), SHAPES)
def test_products_and_sums(rows: int, inside: int, out: int, dtype: torch.dtype) -> None:
    x, weight, bias, z = (random(dtype, *shape) for shape in ((rows, inside), (inside, out), (out,), (rows, out)))
    exact = x.double() @ weight.double() + bias.double()
    sizes = x.double().abs() @ weight.double().abs() + bias.double().abs()
    for way in ways(dtype):
        computed = product(weight, bias, Kernels(way))
        given, kept = x.clone(), [weight.clone(), bias.clone()]
        bound = rounding(dtype, inside, sizes)
        assert_within(computed(given), exact, bound)
        assert_within(computed(given, relu=True), exact.relu(), bound)
        summed = summed_product(weight, bias, Kernels(way))
        place = z.clone()
        found = summed(place, given)
        assert found.data_ptr() == place.data_ptr()
        bound = rounding(dtype, inside + 1, sizes + z.double().abs())
        assert_within(found, (exact + z.double()).relu(), bound)
        assert torch.equal(given, x)
        assert all(torch.equal(one, other) for one, other in zip(kept, (weight, bias), strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [1, 5, 36])
@pytest.mark.parametrize(("rows", "inside", "out"), [(0, 3, 5), (1, 1, 1), (33, 40, 24), (13, 17, 1), (200, 5, 9)])
def test_products_side_by_side(rows: int, inside: int, out: int, count: int, dtype: torch.dtype) -> None:
    x, weight = random(dtype, count, rows, inside), random(dtype, count, inside, out)
    exact, sizes = x.double() @ weight.double(), x.double().abs() @ weight.double().abs()
    for way in ways(dtype):
        place = x.new_full((count + 1, rows, out), 7.0)  # they are written into a part of what else is kept
        found = products(weight, Kernels(way))(x, place[:-1])
        assert found.data_ptr() == place.data_ptr()
        assert_within(place[:-1], exact, rounding(dtype, inside, sizes))
        assert (place[-1] == 7).all()


@pytest.mark.parametrize("layout", ["transposed", "sliced", "expanded"])
def test_weights_in_any_order(layout: str) -> None:
    weight = {
        "transposed": random(torch.float32, 24, 40).t(),
        "sliced": random(torch.float32, 80, 48)[::2, ::2],
        "expanded": random(torch.float32, 1, 24).expand(40, 24),
    }[layout]
    bias, x = random(torch.float32, 24), random(torch.float32, 33, 40)
    exact = x.double() @ weight.double() + bias.double()
    sizes = x.double().abs() @ weight.double().abs() + bias.double().abs()
    for way in ways(torch.float32):
        found = product(weight, bias, Kernels(way))(x)
        assert_within(found, exact, rounding(torch.float32, 40, sizes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_weights_are_its_own(dtype: torch.dtype) -> None:
    weight, bias = random(dtype, 40, 24).t().contiguous().t(), random(dtype, 24)
    for way in ways(dtype):
        computed, x = product(weight.clone(), bias, Kernels(way)), random(dtype, 3, 40)
        before = computed(x)
        assert torch.equal(computed(x), before)
        assert computed(x).data_ptr() != before.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_copies_compute_the_same(dtype: torch.dtype) -> None:
    weight, bias, x = random(dtype, 40, 24), random(dtype, 24), random(dtype, 3, 40)
    for way in ways(dtype):
        alone, aside = product(weight, bias, Kernels(way)), products(weight.expand(2, -1, -1), Kernels(way))
        for again in (copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
            assert torch.equal(again(alone)(x), alone(x))
            many, out = x.expand(2, -1, -1), x.new_empty(2, 3, 24)
            assert torch.equal(again(aside)(many, torch.empty_like(out)), aside(many, out))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_packed_weights_say_where_they_cannot_be_read(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    if "onednn" not in ways(dtype):
        pytest.skip("torch has no oneDNN product here")
    written = pickle.dumps(product(random(dtype, 40, 24), random(dtype, 24), Kernels("onednn")))
    asked: list[tuple[torch.dtype, torch.device]] = []
    monkeypatch.setattr(module, "onednn_works", lambda *question: asked.append(question))
    with pytest.raises(RuntimeError, match="weights packed for oneDNN, which torch does not have here"):
        pickle.loads(written)
    assert asked == [(dtype, CPU)]


def test_what_is_asked_and_what_comes() -> None:
    weight, bias = random(torch.float32, 40, 24), random(torch.float32, 24)
    made = {
        "torch": (TorchProduct, TorchSum, TorchProducts),
        "onednn": (OneDNNProduct, OneDNNSum, OneDNNProducts),
    }
    for way in ways(torch.float32):
        asked = Kernels(way)
        found = (product(weight, bias, asked), summed_product(weight, bias, asked), products(weight[None], asked))
        assert tuple(map(type, found)) == made[way]
        assert asked.answers == dict.fromkeys(("product float32 40×24", "sum float32 40×24", "products float32 1×40×24"), way)


def test_they_are_measured_on_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    for kind in (TorchProduct, TorchSum, TorchProducts):
        written = kind.forward

        def forward(self: nn.Module, x: Tensor, *others: Any, written: Any = written, **named: Any) -> Tensor:
            rows.append(x.shape[-2])
            return written(self, x, *others, **named)

        monkeypatch.setattr(kind, "forward", forward)
    monkeypatch.setattr(module, "onednn_works", lambda *_: True)
    if not onednn_works(torch.float32, CPU):
        pytest.skip("torch has no oneDNN product here")
    asked = Kernels()
    weight = random(torch.float32, 16, 8)
    for made in (product(weight, weight[0], asked), summed_product(weight, weight[0], asked), products(weight[None], asked)):
        assert isinstance(made, nn.Module)
    assert {*rows} == {SLICE, SLICE // 8}
    assert set(asked.answers.values()) <= {"torch", "onednn"}
    # and not again for another matrix of the same shape
    rows.clear()
    product(weight + 1, weight[0], asked)
    assert not rows


@pytest.fixture
def fresh() -> Iterator[None]:
    """``onednn_works`` looks anew, in the test and after it."""
    onednn_works.cache_clear()
    yield
    onednn_works.cache_clear()


class Missing:
    """torch.ops.mkldnn without some operations, or with other ones."""

    def __init__(self, missing: str = "", **others: Any) -> None:
        self.missing, self.others, self.written = missing, others, torch.ops.mkldnn

    def __getattr__(self, name: str) -> Any:
        if name == self.missing:
            raise AttributeError(f"'_OpNamespace' 'mkldnn' object has no attribute '{name}'")
        return self.others.get(name) or getattr(self.written, name)


def only_torch(dtype: torch.dtype = torch.float32) -> bool:
    weight, bias = random(dtype, 40, 24), random(dtype, 24)
    kernels = Kernels("onednn")
    found = (product(weight, bias, kernels), summed_product(weight, bias, kernels), products(weight[None], kernels))
    exact = random(dtype, 33, 40).double() @ weight.double() + bias.double()
    torch.testing.assert_close(found[0](random(dtype, 33, 40)).double(), exact, rtol=0.02, atol=0.02 * float(exact.abs().max()))
    return tuple(map(type, found)) == (TorchProduct, TorchSum, TorchProducts)


def raising(error: Exception) -> Any:
    def operation(*_: Any) -> Tensor:
        raise error

    return operation


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", OPERATIONS[:2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_without_the_operations_there_is_torch(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", Missing(name))
    assert not onednn_works(dtype, CPU)
    assert only_torch(dtype)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "error", [RuntimeError("no kernel"), TypeError("other arguments"), NotImplementedError("CPU")], ids=repr
)
def test_operations_of_other_arguments_are_not_used(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", Missing(_linear_pointwise=raising(error)))
    assert only_torch()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("error", ["scale", "nan", "bias", "order", "bfloat16"])
def test_operations_of_wrong_results_are_not_used(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x: Tensor, weight: Tensor, bias: Tensor | None, *_: Any) -> Tensor:
        y = x @ weight.to_dense().t()
        y = y if bias is None or error == "bias" else y + bias
        changed = {"scale": y * 1.001, "nan": y * float("nan"), "bias": y, "order": y.flip(0), "bfloat16": y.bfloat16().float()}
        return changed[error]

    if not onednn_works(torch.float32, CPU):
        pytest.skip("torch has no oneDNN product here")
    onednn_works.cache_clear()
    monkeypatch.setattr(torch.ops, "mkldnn", Missing(_linear_pointwise=wrong))
    assert only_torch()


@pytest.mark.usefixtures("fresh")
def test_bfloat16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for operation in (lambda: False, raising(RuntimeError("no such check"))):
        monkeypatch.setattr(torch.ops, "mkldnn", Missing(_is_mkldnn_bf16_supported=operation))
        assert not has_bfloat16()
        assert not onednn_works(torch.bfloat16, CPU)
    monkeypatch.setattr(torch.ops, "mkldnn", Missing("_is_mkldnn_bf16_supported"))
    assert not has_bfloat16()


@pytest.mark.usefixtures("fresh")
def test_without_onednn_there_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert only_torch()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int8])
def test_other_numbers_are_torch_s(dtype: torch.dtype) -> None:
    assert not onednn_works(dtype, CPU)
    assert dtype == torch.int8 or only_torch(dtype)


def test_a_processor_that_onednn_is_made_for_is_offered_it() -> None:
    """Other tests skip what is not offered, so that a mistake in the question itself would hide all the others."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        pytest.skip("a torch without oneDNN, or a processor that it is not made for")
    assert onednn_works(torch.float32, CPU)
    assert onednn_works(torch.bfloat16, CPU) == has_bfloat16()


def test_another_device_is_torch_s() -> None:
    assert not onednn_works(torch.float32, torch.device("cuda"))
    assert not onednn_works(torch.float32, torch.device("meta"))
