"""Lists in sentences."""

from __future__ import annotations

import pytest

from resdet.wording import first_few


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more"), (["a"] * 12, "a, a and 10 more")],
)
def test_a_list_ends_after_so_many_with_the_number_of_the_others(names: list[str], text: str) -> None:
    assert first_few(names, 2) == text
