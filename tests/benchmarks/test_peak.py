"""The products whose rate is measured are the same product."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def peak(script_module: Callable[[str], ModuleType]) -> ModuleType:
    return script_module("peak")


def test_all_ways_to_multiply_rows_are_offered_where_they_exist(peak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "computes_bf16", lambda: True)
    expected = [peak.MM, *([peak.PACKED] if peak.packs() else []), peak.BF16]
    assert list(peak.row_products(12, 16, 20)) == expected
    monkeypatch.setattr(peak, "computes_bf16", lambda: False)
    monkeypatch.setattr(peak, "packs", lambda: False)
    assert list(peak.row_products(12, 16, 20)) == [peak.MM]
    assert list(peak.batched(3, 12, 16, 20)) == ["torch bmm"]
    assert peak.packed_wins(1) is False


@pytest.mark.parametrize(("name", "error"), [("a", 1e-3), ("a, bf16", 0.2), ("a", float("nan"))])
def test_other_numbers_end_the_benchmark(peak: ModuleType, name: str, error: float) -> None:
    expected = torch.ones(4, 4, dtype=torch.float64)
    assert peak.agreed({name: lambda: expected}, expected, 1.0)
    with pytest.raises(SystemExit, match=f"{name}: gives other numbers"):
        peak.agreed({name: lambda: expected + error}, expected, 1.0)


@pytest.mark.parametrize(("mm", "packed", "wins"), [(2.0, 1.0, True), (1.4, 1.0, False), (1.0, 2.0, False)])
def test_packed_products_win_when_they_are_clearly_faster(
    peak: ModuleType, measure: ModuleType, monkeypatch: pytest.MonkeyPatch, mm: float, packed: float, wins: bool
) -> None:
    samples = {peak.MM: [measure.Sample(mm, 0), measure.Sample(9, 0)], peak.PACKED: [measure.Sample(packed, 0)]}
    monkeypatch.setattr(peak, "packs", lambda: True)
    monkeypatch.setattr(peak, "row_products", lambda *sizes: {})
    monkeypatch.setattr(peak, "compare", lambda claim, ways, **_: measure.Result(claim, samples, peak.PACKED, peak.MM))
    assert peak.packed_wins(1) is wins
