from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_metal import METAL, metal
from torch import nn

from resdet.engine.precision import Precision
from resdet.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_matrix_products_run_in_the_format(name: str, dtype: torch.dtype) -> None:
    precision = Precision(name, CPU)
    with precision.autocast():
        assert nn.Linear(4, 4)(torch.ones(2, 4)).dtype == dtype
    assert nn.Linear(4, 4)(torch.ones(2, 4)).dtype == torch.float32


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_a_step_is_that_of_plain_arithmetic(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    precision = Precision(name, CPU)
    before, x = model.weight.detach().clone(), torch.tensor([[1.0, 2.0, -1.0, 0.5]])
    with precision.autocast():
        loss = model(x).float().sum() / 1024
    precision.backward(loss)
    precision.unscale(optimizer)
    torch.testing.assert_close(model.weight.grad, x / 1024)  # powers of two survive every format
    precision.step(optimizer)
    torch.testing.assert_close(model.weight.detach(), before - 0.5 * x / 1024)


def test_fp16_leaves_out_a_step_that_overflowed_and_scales_less() -> None:
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    precision = Precision("fp16", CPU)
    before = model.weight.detach().clone()
    precision.backward(model(torch.full((1, 2), 1e38)).sum())  # the scaled gradient is infinite, the loss is not
    precision.step(optimizer)
    assert torch.equal(model.weight, before)
    state = precision.state_dict()
    assert state["scale"] == Precision("fp16", CPU).state_dict()["scale"] / 2
    again = Precision("fp16", CPU)
    again.load_state_dict(state)
    assert again.state_dict() == state


def test_float32_has_no_state() -> None:
    assert Precision("fp32", CPU).state_dict() == {}


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(ConfigError, match="'precision' must be one of fp32, bf16, fp16, got 'fp8'"):
        Precision("fp8", CPU)


def test_fp16_training_is_refused_where_torch_cannot_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*_: Any) -> None:
        raise NotImplementedError("The operator 'aten::_amp_foreach_non_finite_check_and_unscale_' is not implemented for mps")

    with metal():
        Precision("fp16", METAL)
        monkeypatch.setattr(torch, "_amp_foreach_non_finite_check_and_unscale_", check)
        with pytest.raises(ConfigError, match="'precision' fp16: this torch cannot scale losses on mps; bf16 or fp32 will do"):
            Precision("fp16", METAL)
        for name in ("fp32", "bf16"):  # which scale nothing
            assert Precision(name, METAL).state_dict() == {}
