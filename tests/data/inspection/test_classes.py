"""Which class names are taken for one class, which for a slip, and which are left alone."""

from __future__ import annotations

import pytest

from resdet.data.inspection.classes import same_names, similar_names

SAME = [
    ("T-shirt", "tshirt"), ("red apple", "red_apple"), ("Cat", "cat "), ("cat_", "cat"), ("cat.", "cat"), ("1-2", "1 2"),
    ("traffic_light", "TrafficLight"), ("café", "cafe\u0301"), ("covid-19", "COVID 19"), ("U.S.", "us"), ("(cat)", "cat"),
]  # fmt: skip
SLIPS = [
    ("quince", "qiunce"),
    ("pineapple", "pinapple"),
    ("apple", "apples"),
    ("kangaroo", "kangoroo"),
    ("type box", "type bax"),
]
OTHERS = [
    ("A+", "A-"), ("+1", "-1"), ("1.1", "11"), ("v1.0", "v10"), ("a", "A"), ("$1", "€1"), ("C", "C++"), ("50%", "50"),
    ("1/2", "12"), ("C4", "C#4"), ("CD4+", "CD4-"), ("की", "का"), ("+", "-"), ("letter_a", "letter_b"), ("TypeA", "TypeB"),
    ("stage I", "stage II"), ("vitamin b", "vitamin c"), ("speed limit 30", "speed limit 50"), ("cat", "car"),
]  # fmt: skip


@pytest.mark.parametrize("names", SAME)
def test_names_of_one_class(names: tuple[str, str]) -> None:
    assert (same_names(names), similar_names(names)) == ([(0, 1)], [])


@pytest.mark.parametrize("names", SLIPS)
def test_names_that_may_be_a_slip(names: tuple[str, str]) -> None:
    assert (same_names(names), similar_names(names)) == ([], [(0, 1)])


@pytest.mark.parametrize("names", OTHERS)
def test_names_of_two_classes(names: tuple[str, str]) -> None:
    assert (same_names(names), similar_names(names)) == ([], [])
