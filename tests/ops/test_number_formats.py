"""Names of number formats, and the device that is asked for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fake_metal import METAL

from resdet.errors import ConfigError
from resdet.ops.precision import at_least_float32, in_float64, number_format

CPU, SECOND = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_names(name: str, dtype: torch.dtype) -> None:
    assert number_format(name, CPU) == dtype


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="'precision' must be one of fp32, bf16, fp16, got 'fp8'"):
        number_format("fp8", CPU)


def test_bfloat16_is_asked_of_the_gpu_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs of which the first alone has bfloat16."""
    current = [torch.device("cuda", 0)]

    @contextlib.contextmanager
    def chosen(device: torch.device) -> Iterator[None]:
        current.append(device)
        yield
        current.pop()

    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or current[-1].index == 0

    monkeypatch.setattr(torch.cuda, "device", chosen)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert number_format("bf16", torch.device("cuda", 0)) == torch.bfloat16
    with pytest.raises(ConfigError, match="'precision' bf16: GPU 1 has no bfloat16; fp16 will do"):
        number_format("bf16", SECOND)
    assert number_format("fp16", SECOND) == torch.float16
    assert number_format("fp32", SECOND) == torch.float32


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_an_apple_gpu_is_asked_for_a_number(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def zeros(*shape: int, **options: Any) -> torch.Tensor:
        asked.append((shape, options))
        raise TypeError("No such numbers.\nA second line.")

    monkeypatch.setattr(torch, "zeros", zeros)
    assert number_format("fp32", METAL) == torch.float32
    assert number_format(name, CPU) == number_format(name, torch.device("meta")) == dtype
    assert asked == []
    with pytest.raises(ConfigError) as caught:
        number_format(name, METAL)
    assert caught.value.problems == (f"'precision' {name}: mps has no such numbers here (No such numbers.); fp32 will do",)
    assert asked == [((1,), {"dtype": dtype, "device": METAL})]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_more_bits(dtype: torch.dtype) -> None:
    x = torch.tensor([1.5, -2.0]).to(dtype)
    assert in_float64(x).dtype == torch.float64
    assert in_float64(x).tolist() == [1.5, -2.0]
    found = at_least_float32(x)
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    assert found.tolist() == [1.5, -2.0]
    assert (found is x) == (x.element_size() >= 4)
