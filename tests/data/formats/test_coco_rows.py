"""The rules of the rows of COCO's json files."""

from __future__ import annotations

import copy
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.data.formats.coco_rows import (
    LIMIT,
    REGION,
    SCORED_ANNOTATION,
    SCORED_CATEGORY,
    SCORED_IMAGE,
    TRAINING_ANNOTATION,
    TRAINING_CATEGORY,
    TRAINING_IMAGE,
    RowKind,
    is_box,
    is_number,
)

NO_NUMBERS = [True, None, "1", math.nan, math.inf, -math.inf, LIMIT, -LIMIT, 10**400, [1], {}, 1j]
NUMBERS = [0, -3, 2.5, 10**14, -9e14, np.float32(1.5), np.float64(2), np.int64(3), Fraction(1, 3)]


def test_numbers_and_boxes() -> None:
    for value in NUMBERS:
        assert is_number(value)
        assert is_box([value, value, abs(value), abs(value)])
        assert is_box((value, 0, 0.0, 1))
    for value in NO_NUMBERS:
        assert not is_number(value)
        for place in range(4):
            box = [1, 2, 3, 4]
            box[place] = value
            assert not is_box(box)
    for value in ([1, 2, 3], [1, 2, 3, 4, 5], [], None, "1234", {1: 1, 2: 2, 3: 3, 4: 4}, [1, 2, -1, 4], [1, 2, 3, -0.1]):
        assert not is_box(value)


GOOD: dict[str, tuple[RowKind, dict[str, Any]]] = {
    "training category": (TRAINING_CATEGORY, {"id": 3, "name": "cat"}),
    "training image": (TRAINING_IMAGE, {"id": 3, "file_name": "a.jpg", "height": 4, "width": 5}),
    "training annotation": (
        TRAINING_ANNOTATION,
        {"id": 3, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3.5, 4], "area": 3, "iscrowd": 0, "difficult": True},
    ),
    "scored category": (SCORED_CATEGORY, {"id": 3}),
    "scored image": (SCORED_IMAGE, {"id": "3", "width": 1.5, "height": None}),
    "scored annotation": (
        SCORED_ANNOTATION,
        {"id": "3", "image_id": "1", "category_id": 2, "bbox": (1, 2, 3.5, 4), "area": 0.5, "ignore": 1},
    ),
    "region": (REGION, {"image_id": 1, "bbox": [1, 2, 3, 4], "score": -0.5}),
}
KNOWN = {"image_id": {1, "1"}, "category_id": {2}}
# a value that each rule refuses
WRONG = {
    "id": None,
    "name": "",
    "file_name": 3,
    "height": 0,
    "width": "5",
    "image_id": 1.5,
    "category_id": "2",
    "bbox": [1, 2, 3],
    "area": -1,
    "iscrowd": 2,
    "difficult": "yes",
    "ignore": "x",
    "score": math.nan,
}


@pytest.mark.parametrize("name", GOOD)
def test_each_rule_of_each_kind(name: str) -> None:
    kind, good = GOOD[name]
    assert set(good) <= kind.required.keys() | kind.optional.keys()
    assert list(kind.check([good], KNOWN)) == list(kind.check([], KNOWN)) == []
    for key, rule in {**kind.required, **kind.optional}.items():
        (problem,) = kind.check([{**good, key: WRONG[key]}], KNOWN)
        assert problem.text.startswith(f"{key!r} must be {rule.text}, got {WRONG[key]!r}")
        without = {other: value for other, value in good.items() if other != key}
        texts = [problem.text for problem in kind.check([without], KNOWN)]
        assert texts == ([f"{key!r} must be {rule.text}, got none (the key is missing)"] if key in kind.required else [])
    (problem,) = kind.check(["x"], KNOWN)
    assert problem.text == "must be an object, got 'x'"


def test_what_a_row_is_called() -> None:
    rows = [{"id": 7}, {"id": "7"}, {}, 5]
    assert [
        problem.where for problem in TRAINING_CATEGORY.check(rows) if "'name'" in problem.text or "object" in problem.text
    ] == [
        "category id 7",
        "category id '7'",
        "category at position 2",
        "category at position 3",
    ]
    assert [problem[:2] for problem in REGION.check([GOOD["region"][1], 5, 6])] == [(1, "result 1"), (2, "result 2")]


def test_ids_are_used_once_and_refer_to_what_is_there() -> None:
    categories = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "a"}, {"id": 1, "name": 3}]
    assert [(problem.place, problem.text) for problem in TRAINING_CATEGORY.check(categories)] == [
        (1, "id 1 is used twice"),
        (2, "name 'a' is used twice"),
        (3, "id 1 is used twice"),
        (3, "'name' must be a non-empty string of whole characters, got 3"),
    ]
    # classes of one name are told apart by their ids where they are only scored
    assert [problem.text for problem in SCORED_CATEGORY.check(categories)] == ["id 1 is used twice"] * 2
    row = {**GOOD["training annotation"][1], "image_id": 8, "category_id": 9}
    assert [problem.text for problem in TRAINING_ANNOTATION.check([row], KNOWN)] == [
        "image_id 8 is not among the file's images",
        "category_id 9 is not among the file's categories",
    ]
    assert list(TRAINING_ANNOTATION.check([row])) == []
    # a row that is wrong otherwise has its id all the same
    assert TRAINING_CATEGORY.ids([*categories, {"id": 5}, {"id": "6"}, {}, 3]) == {1, 2, 5}


VALUES = st.sampled_from(
    [0, 1, 2, 3, 2**70, -1, 1.5, math.nan, True, None, "", "a", "1", [1, 2, 3, 4], [1, 2, -3, 4], [1, 2, math.inf, 4], [1], {}]
)


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[RowKind, list[Any]]:
    """Rows of a kind, most of their values good."""
    kind, good = GOOD[draw(st.sampled_from(sorted(GOOD)))]
    rows: list[Any] = []
    for number in range(draw(st.integers(0, 4))):
        row = copy.deepcopy(good)
        row.update({key: value for key, value in (("id", number), ("name", f"n{number}")) if key in good})
        for key in draw(st.lists(st.sampled_from([*kind.required, *kind.optional]), max_size=1)):
            row[key] = draw(VALUES)
        if draw(st.integers(0, 9)) == 0:
            row.pop(draw(st.sampled_from(sorted(row))))
        rows.append(row if draw(st.integers(0, 19)) else draw(VALUES))
    return kind, rows


@given(some_rows())
def test_columns_are_right_where_every_row_is(drawn: tuple[RowKind, list[Any]]) -> None:
    """What is asked of columns at once hides nothing: with a row that is wrong, rows are asked one by one."""
    kind, rows = drawn
    assert list(kind.check(rows, KNOWN)) == [problem for problem in kind.check([*rows, 5], KNOWN) if problem.place < len(rows)]
