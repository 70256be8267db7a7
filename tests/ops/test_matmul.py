"""Products of matrices that change, in any layout, against float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rounding import assert_within, gamma
from torch import Tensor

from resdet.ops.kernels import Kernels, remembered_answers
from resdet.ops.matmul import MATMULS, fastest_matmul, onednn_matmul
from resdet.ops.products import onednn_works

CPU = torch.device("cpu")
NAMES = ["torch", "onednn"]
# rows, numbers that are summed over, columns
SHAPES = [
    *[(1, 1, 1), (1, 40, 24), (33, 40, 24), (24, 40, 33), (7, 1, 9), (64, 3, 1), (1, 3, 64), (2, 3000, 3), (1025, 9, 5)],
    *[(0, 3, 5), (5, 3, 0), (5, 0, 3), (0, 0, 3)],
]
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "rows": lambda m: m.contiguous(),
    "columns": lambda m: m.mT.contiguous().mT,
    "part of the columns": lambda m: torch.cat([m, m, m], -1)[..., : m.shape[-1]],
    "each second row": lambda m: torch.stack([m, m], -2).flatten(-3, -2)[..., ::2, :],
    "part of the columns, turned": lambda m: torch.cat([m.mT, m.mT], -1)[..., : m.shape[-2]].mT,
    "one row": lambda m: m[..., :1, :].expand_as(m),
    "one column": lambda m: m[..., :1].expand_as(m),
    "one number": lambda m: m[..., :1, :1].expand_as(m),
}


def matmul(name: str, dtype: torch.dtype = torch.float32) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "onednn" and not onednn_works(dtype, CPU):
        pytest.skip("torch has no oneDNN product here")
    return MATMULS[name]


def check(name: str, a: Tensor, b: Tensor) -> None:
    copies = a.clone(), b.clone()
    found = matmul(name)(a, b)
    assert found.dtype == a.dtype
    bound = gamma(a.shape[-1] + 1, torch.float32) * (a.double().abs() @ b.double().abs())
    assert_within(found, a.double() @ b.double(), bound)
    assert torch.equal(a, copies[0])
    assert torch.equal(b, copies[1])
    found.zero_()  # in memory of its own
    assert torch.equal(a, copies[0])
    assert torch.equal(b, copies[1])


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("count", [None, 0, 1, 3])
def test_shapes(shape: tuple[int, int, int], count: int | None, name: str) -> None:
    rows, inside, columns = shape
    first = () if count is None else (count,)
    check(name, random(*first, rows, inside), random(*first, inside, columns))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("of_b", LAYOUTS)
@pytest.mark.parametrize("of_a", LAYOUTS)
def test_layouts(of_a: str, of_b: str, name: str) -> None:
    for rows, inside, columns in ((33, 40, 24), (24, 40, 33)):
        for first in ((), (3,)):
            a, b = LAYOUTS[of_a](random(*first, rows, inside)), LAYOUTS[of_b](random(*first, inside, columns))
            check(name, a, b)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_rows(name: str) -> None:
    a, b = random(33, 40), random(40, 24)
    for one, other in ((a, b), (a.t().contiguous().t(), b), (a, b.t().contiguous().t())):
        assert matmul(name)(one, other).is_contiguous()


def test_torch_s_takes_any_numbers() -> None:
    a, b = random(33, 40).double(), random(40, 24).double()
    assert torch.equal(matmul("torch")(a, b), a @ b)


def test_what_is_no_matrix_is_refused() -> None:
    matmul("onednn")
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        onednn_matmul(random(3, 4), random(5, 6))
    with pytest.raises(ValueError, match="shorter"):
        onednn_matmul(random(2, 3, 4), random(1, 4, 5))


def test_the_fastest_is_one_of_them_and_remembered(tmp_path: Path) -> None:
    file = tmp_path / "kernels.json"
    shapes = [(16, 8), (8, 16), (16, 8)]
    measured = Kernels(file=file)
    name = fastest_matmul(shapes, torch.float32, measured)
    assert name in MATMULS
    assert measured.answers == {"training float32 8×16, 16×8": name}
    assert next(iter(remembered_answers(file).values())) == measured.answers
    assert fastest_matmul(reversed(shapes), torch.float32, Kernels(file=file)) == name


@pytest.mark.parametrize("pin", NAMES)
def test_the_fastest_is_the_pinned_one_where_there_is_a_choice(pin: str) -> None:
    matmul(pin)
    assert fastest_matmul([(16, 8)], torch.float32, Kernels(pin)) == pin
    assert fastest_matmul([(16, 8)], torch.float64, Kernels(pin)) == "torch"
