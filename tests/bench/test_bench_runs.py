"""Which results are of one claim on one machine, so that a newer one takes the place of an older."""

from __future__ import annotations

from typing import Any

import pytest
from bench_runs import AVX2, result, run

from resdet.bench.runs import joined


@pytest.mark.parametrize(
    ("newer", "left"),
    [
        (run(result()), []),
        (run(result(), caps=AVX2), ["a", "b"]),
        (run(result(), cpu="New"), ["a", "b"]),
        (run(result(), quick=True), ["a", "b"]),
        (run(result(), benchmark="inference"), ["a", "b"]),
        (run(result(threads=2)), ["a", "b"]),
        (run(result(peer="another")), ["a", "b"]),
        (run(result("else")), ["a", "b"]),
    ],
)
def test_only_the_same_claim_of_the_same_machine_is_replaced(newer: dict[str, Any], left: list[str]) -> None:
    older = run(result(), result("kept"))
    found = joined([older], [newer])
    names = [each["name"] for one in found if one["date"] == older["date"] and one is not newer for each in one["results"]]
    assert names == (["step", "kept"] if left else ["kept"])
    assert newer in found
    assert older == run(result(), result("kept"))  # nothing is changed in place


def test_a_run_of_which_nothing_is_left_is_gone() -> None:
    newer = run(result(cpu=3.0), date="2026-02-01T00:00:00+00:00")
    assert joined([run(result())], [newer]) == [newer]
