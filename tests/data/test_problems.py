"""Problems of a file, collected and told."""

from __future__ import annotations

import pytest

from resdet.data.problems import SHOWN, Problems, shown
from resdet.errors import DataError


def test_none_is_no_error() -> None:
    Problems().raise_if_any()


def test_the_same_rule_is_told_once_with_its_first_place() -> None:
    problems = Problems()
    for where, rule in (
        ("row 3", "must be red"),
        ("row 4", "must be round"),
        ("row 5", "must be red"),
        ("row 9", "must be red"),
    ):
        problems.add(where, rule)
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    assert caught.value.problems == ("row 3: must be red (and 2 more like it)", "row 4: must be round")


@pytest.mark.parametrize("count", [SHOWN, SHOWN + 1, SHOWN + 30])
def test_a_long_list_is_cut(count: int) -> None:
    problems = Problems()
    for number in range(count):
        problems.add(f"row {number}", f"rule {number}")
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    lines = [f"row {number}: rule {number}" for number in range(min(count, SHOWN))]
    assert list(caught.value.problems) == lines + ([f"... and {count - SHOWN} problems more"] if count > SHOWN else [])


def test_long_values_are_cut() -> None:
    assert shown([1, 2]) == "[1, 2]"
    assert len(shown("x" * 1000)) < 50
    assert len(shown(list(range(1000)))) < 50
