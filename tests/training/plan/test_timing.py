"""Of several processes a plan times the share that one of them has."""

from __future__ import annotations

import pytest
import torch

from resdet.config.schema import RunConfig
from resdet.training.plan.run import machine
from resdet.training.plan.timing import _share


@pytest.mark.parametrize(
    ("processes", "batch", "accumulate", "share"),
    [(1, 6, 3, (6, 3)), (2, 6, 1, (3, 1)), (4, 6, 3, (2, 2)), (4, 4, 1, (1, 1)), (3, 4, 1, (2, 1))],
)
def test_what_is_timed_is_the_largest_share(
    processes: int, batch: int, accumulate: int, share: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    timed = _share(RunConfig(batch=batch, accumulate=accumulate))
    assert (timed.batch, timed.accumulate) == share
    said = machine(torch.device("cpu"))
    assert said.startswith(f"{processes} processes of ") == (processes > 1)
    assert said.endswith(" threads")
