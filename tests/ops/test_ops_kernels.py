"""Which way is the fastest: by a clock of the test, and never a wrong one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running_clock import QUESTION, RIGHT, Clock, ask, running_clock
from torch import Tensor

from resdet.ops.kernels import Kernels, same_but_for_rounding


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({"torch": 2e-3, "onednn": 1e-3}, "onednn"),
        ({"torch": 1e-3, "onednn": 2e-3}, "torch"),
        ({"torch": 1e-3, "onednn": 0.96e-3}, "torch"),  # a gain that noise may make
        ({"torch": 1e-3, "onednn": 0.94e-3}, "onednn"),
        ({"torch": 1e-3, "onednn": 1e-3}, "torch"),
        ({"torch": 3e-3, "onednn": 2e-3, "third": 1e-3}, "third"),
        ({"torch": 3.0, "onednn": 1.0}, "onednn"),
        # the best of the rounds counts: others were disturbed; the first run is the warm-up
        ({"torch": 1e-3, "onednn": [9, 9, 0.5e-3, 9]}, "onednn"),
        ({"torch": [9, 1e-3, 9], "onednn": 2e-3}, "torch"),
        ({"torch": 1e-3, "onednn": [1e-6, 5e-3]}, "torch"),
        ({"torch": 1e-3}, "torch"),
    ],
)
def test_the_fastest_way(costs: dict[str, float], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    time = running_clock(monkeypatch, **costs)
    assert ask(Kernels(), time) == expected


def test_what_was_measured_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    time = running_clock(monkeypatch, torch=[9, 0.25, 0.125], onednn=0.0625)
    with caplog.at_level(logging.DEBUG, "resdet.ops.kernels"):
        ask(Kernels(), time)
    assert caplog.messages == [f"{QUESTION}: onednn of torch 125 ms, onednn 62.5 ms"]


@pytest.mark.parametrize(("cost", "rounds"), [(1e-6, 7), (1e-3, 7), (0.021, 5), (0.04, 3), (10.0, 3)])
def test_slow_ways_run_a_few_times_only(cost: float, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    time = running_clock(monkeypatch, torch=cost, onednn=cost)
    ask(Kernels(), time)
    assert time.runs == {"torch": 1 + rounds, "onednn": 1 + rounds}


def test_a_question_is_asked_once() -> None:
    time, asked = Clock(torch=1.0, onednn=1.0), Kernels()
    for question in ("a", "b", "a"):
        asked.fastest(question, list(time.costs), time.trial)
    assert time.made == ["torch", "onednn"] * 2
    assert list(asked.answers) == ["a", "b"]


@pytest.mark.parametrize(
    ("pin", "ways", "expected"),
    [
        ("torch", ["torch", "onednn"], "torch"),
        ("onednn", ["torch", "onednn"], "onednn"),
        ("onednn", ["torch"], "torch"),
        ("onednn", ["direct", "winograd"], "direct"),
    ],
)
def test_a_pinned_way_is_not_measured(pin: str, ways: list[str], expected: str, tmp_path: Path) -> None:
    file = tmp_path / "kernels.json"
    pinned = Kernels(pin, file)
    assert pinned.fastest(QUESTION, ways, lambda _: pytest.fail("measured")) == expected
    assert pinned.answers == {QUESTION: expected}
    assert not file.exists()


@pytest.mark.parametrize(
    "wrong",
    [RIGHT + 1e-3, RIGHT * float("nan"), -RIGHT, torch.zeros(1, 3), RIGHT.flip(1), RIGHT / 0],
    ids=["a little", "nan", "sign", "zeros", "order", "inf"],
)
def test_a_way_with_wrong_results_is_never_taken(
    wrong: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    time = running_clock(monkeypatch, torch=1.0, onednn=1e-6, third=0.5)
    time.results["onednn"] = wrong
    assert ask(Kernels(), time) == "third"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{QUESTION}: onednn differs from torch by" in record.getMessage()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_results_are_wrong_from_where_rounding_ends(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.randn(200, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    for factor, expected in ((4, "onednn"), (1e5, "torch")):
        noise = torch.randn(200, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        time = running_clock(monkeypatch, torch=1.0, onednn=0.1)
        time.results = {"torch": exact, "onednn": (exact + noise * min(factor * torch.finfo(dtype).eps, 1.0)).to(dtype)}
        assert ask(Kernels(), time) == expected


def test_a_way_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    time = running_clock(monkeypatch, torch=1.0, onednn=0.1, third=0.1)

    def trial(way: str) -> Callable[[], Tensor]:
        if way == "onednn":
            raise RuntimeError("could not create a primitive descriptor")
        run = time.trial(way)
        return run if way == "torch" else lambda: run() + torch.zeros(7)

    assert Kernels().fastest(QUESTION, ["torch", "onednn", "third"], trial) == "torch"
    assert "onednn is left out: could not create a primitive descriptor" in caplog.text
    assert "third is left out: " in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("terms", [1, 2, 40, 5000])
def test_same_but_for_rounding(dtype: torch.dtype, terms: int) -> None:
    generator = torch.Generator().manual_seed(terms)
    a, b = (torch.randn(*shape, generator=generator).to(dtype) for shape in ((20, terms), (terms, 30)))
    exact = a.double() @ b.double()
    assert same_but_for_rounding(a @ b, exact, terms)
    assert same_but_for_rounding(exact.to(dtype), exact, terms)
    assert same_but_for_rounding(torch.zeros_like(a), torch.zeros(20, terms).double(), terms)
    for wrong in (exact * float("nan"), exact / 0):
        assert not same_but_for_rounding(wrong.to(dtype), exact, terms)
    if terms * torch.finfo(dtype).eps < 0.05:
        for wrong in (-exact, exact.flip(0), 2 * exact, torch.zeros_like(exact), exact + exact.std()):
            assert not same_but_for_rounding(wrong.to(dtype), exact, terms)
