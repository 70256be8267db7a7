from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from resdet.data.proposals import (
    Proposals,
    join_proposals,
    make_proposals,
    read_proposals,
    read_provenance,
    write_proposals,
)
from resdet.errors import DataError

COORDINATE = st.floats(0, 1e4, width=32)


@st.composite
def regions(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    rows = draw(st.lists(st.tuples(*[COORDINATE] * 4, st.floats(-10, 10, width=32)), max_size=4))
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d, _ in rows]
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor([row[4] for row in rows], dtype=torch.float32)


@given(st.lists(regions(), max_size=5), st.randoms())
def test_what_is_written_is_read_in_the_order_asked_for(parts: list[tuple[torch.Tensor, torch.Tensor]], random: Any) -> None:
    import tempfile

    ids = random.sample(range(-5, 1000), len(parts))
    order = random.sample(range(len(ids)), len(ids))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proposals.safetensors"
        write_proposals(path, make_proposals(ids, [boxes for boxes, _ in parts], [scores for _, scores in parts]), {"by": "me"})
        found = read_proposals(path, [ids[index] for index in order])
        assert read_provenance(path) == {"by": "me"}
    assert len(found) == len(ids)
    for place, index in enumerate(order):
        assert torch.equal(found.boxes(place), parts[index][0])
        rows = slice(found.offsets[place], found.offsets[place + 1])
        assert found.scores[rows].tolist() == parts[index][1].tolist()


def test_the_file_is_what_its_documentation_says(tmp_path: Path) -> None:
    boxes = [torch.tensor([[1.0, 2, 3, 4], [0.0, 0, 9, 9]]), torch.zeros(0, 4)]
    write_proposals(tmp_path / "p.safetensors", make_proposals([7, 3], boxes, [torch.tensor([0.5, 0.25]), torch.zeros(0)]))
    with safe_open(tmp_path / "p.safetensors", framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        assert json.loads(file.metadata()["resdet_proposals"]) == {"format": 1}
    assert {name: (str(array.dtype), array.tolist()) for name, array in arrays.items()} == {
        "image_ids": ("int64", [7, 3]),
        "offsets": ("int64", [0, 2, 2]),
        "boxes": ("float32", [[1, 2, 3, 4], [0, 0, 9, 9]]),
        "scores": ("float32", [0.5, 0.25]),
    }


def sample() -> Proposals:
    boxes = [torch.full((count, 4), float(image)) for image, count in enumerate((2, 0, 3))]
    return make_proposals([4, 5, 6], boxes, [torch.zeros(2), torch.zeros(0), torch.zeros(3)])


def test_taking_and_joining() -> None:
    taken = sample().take([2, 0])
    assert (taken.image_ids.tolist(), taken.offsets.tolist(), taken.rows[:, 0].tolist()) == ([6, 4], [0, 3, 5], [2, 2, 2, 0, 0])
    joined = join_proposals([sample(), taken, sample().take([])])
    assert joined.image_ids.tolist() == [4, 5, 6, 6, 4]
    assert [joined.boxes(index)[:, 0].tolist() for index in range(5)] == [[0, 0], [], [2, 2, 2], [2, 2, 2], [0, 0]]
    joined.boxes(0).add_(1)  # a copy: the data set stays
    assert joined.boxes(0)[0, 0] == 0


def test_coco_results_are_read_best_first(tmp_path: Path) -> None:
    rows = [
        {"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.2},
        {"image_id": 3, "bbox": [0, 0, 5, 5], "score": 1},
        {"image_id": 9, "bbox": [10, 20, 0, 1], "score": 0.9},
        {"image_id": 9, "bbox": [7, 7, 1, 1], "score": 0.2},
    ]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    found = read_proposals(tmp_path / "results.json", [9, 3])
    assert found.boxes(0).tolist() == [[10, 20, 10, 21], [1, 2, 4, 6.5], [7, 7, 8, 8]]
    assert found.boxes(1).tolist() == [[0, 0, 5, 5]]
    assert found.scores.dtype == np.float32


GOOD = {
    "image_ids": np.array([1, 2]),
    "offsets": np.array([0, 1, 2]),
    "boxes": np.array([[0, 0, 1, 1], [0, 0, 2, 2]], np.float32),
    "scores": np.array([1, 2], np.float32),
}
NAN = np.array([[0, 0, 1, 1], [0, np.nan, 2, 2]], np.float32)
BAD_ARRAYS = [
    ({"boxes": None}, r"'boxes' must be float32 of 2 dimensions, it has none"),
    ({"boxes": GOOD["boxes"].astype(np.float64)}, r"'boxes' must be float32 of 2 dimensions, got float64 \(2, 4\)"),
    ({"image_ids": np.array([1.0, 2.0])}, r"'image_ids' must be int64 of 1 dimension, got float64"),
    ({"boxes": GOOD["boxes"][:, :3].copy()}, r"'boxes' must have the shape \(2, 4\) beside 2 scores, got \(2, 3\)"),
    ({"scores": np.zeros(3, np.float32)}, r"'boxes' must have the shape \(3, 4\).*\n.*'offsets' must be 3 numbers .* 0 to 3"),
    ({"offsets": np.array([0, 2])}, r"'offsets' must be 3 numbers that rise from 0 to 2"),
    ({"offsets": np.array([0, 3, 2])}, r"'offsets' must be 3 numbers that rise"),
    ({"offsets": np.zeros(0, np.int64)}, r"'offsets' must be 3 numbers that rise"),
    ({"boxes": NAN}, r"image id 2: a box needs finite x1 <= x2, .*nan"),
    ({"boxes": np.array([[5, 0, 1, 1], [0, 0, 2, 2]], np.float32)}, r"image id 1: a box needs finite x1 <= x2"),
    ({"scores": np.array([np.inf, 1], np.float32)}, r"image id 1: .* score inf"),
    ({"image_ids": np.array([1, 1])}, r"images more than once: 1, with the ids 1\n.*no entry for images .*: 1, with the ids 2"),
    ({"image_ids": np.array([1, 8])}, r"the data set does not have: 1, with the ids 8\n.*no entry for images .*: 1, .* 2"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ARRAYS, ids=[message[:40] for _, message in BAD_ARRAYS])
def test_a_bad_file_is_told_in_words(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "p.safetensors"
    arrays = {name: array for name, array in {**GOOD, **change}.items() if array is not None}
    save_file(arrays, path, {"resdet_proposals": '{"format": 1}'})
    with pytest.raises(DataError, match=message) as caught:
        read_proposals(path, [1, 2])
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)


@pytest.mark.parametrize("metadata", [None, {"resdet_proposals": "{"}, {"resdet_proposals": '{"format": 2}'}])
def test_another_safetensors_file(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file(GOOD, tmp_path / "p.safetensors", metadata)
    with pytest.raises(DataError, match=r"not a proposals\.safetensors: its metadata must hold"):
        read_proposals(tmp_path / "p.safetensors", [1, 2])


def test_no_safetensors_file_at_all(tmp_path: Path) -> None:
    (tmp_path / "p.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"not a readable proposals\.safetensors"):
        read_proposals(tmp_path / "p.safetensors", [1])


ROW = {"image_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}
BAD_RESULTS = [
    ({}, "must hold a list of COCO results, got dict"),
    ([3], "result 0: must be an object, got 3"),
    ([{**ROW, "image_id": "1"}], "result 0: 'image_id' must be an integer, got '1'"),
    ([{**ROW, "image_id": 10**30}], "result 0: 'image_id' must be an integer"),
    ([ROW, {**ROW, "bbox": [0, 0, 1]}], r"result 1: 'bbox' must be \[x, y, width, height\], .*, got \[0, 0, 1\]"),
    ([{**ROW, "bbox": [0, 0, 1, 10**400]}], "result 0: 'bbox' must be"),
    (
        [{**ROW, "score": None}, {"image_id": True}],
        r"result 0: 'score' .*\n.*result 1: 'image_id'.*\n.*result 1: 'bbox'.*\n.*result 1: 'score'",
    ),
    ([{**ROW, "bbox": [0, 0, -1, 1]}], "result 0: 'bbox' must be"),
    ([{**ROW, "bbox": [0, 0, 1e300, 1]}], "result 0: 'bbox' must be"),
    ([{**ROW, "score": float("nan")}], "result 0: 'score' must be a finite number, got nan"),
    ([{**ROW, "image_id": 7}], "images that the data set does not have: 1, with the ids 7"),
    ([{**ROW, "bbox": None}] * 30, r"result 0: .*, got None \(and 29 more like it\)$"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_RESULTS, ids=[message[:40] for _, message in BAD_RESULTS])
def test_bad_results_are_told_in_words(tmp_path: Path, rows: Any, message: str) -> None:
    (tmp_path / "results.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=message):
        read_proposals(tmp_path / "results.json", [1])


def test_results_without_a_row_for_an_image_say_that_nothing_was_found_in_it(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps([ROW, {**ROW, "score": 2.0}]))
    with pytest.warns(UserWarning, match=r"results\.json: 2 of 3 images have no region, id 4 for instance"):
        found = read_proposals(tmp_path / "results.json", [4, 1, 9])
    assert [len(found.boxes(index)) for index in range(3)] == [0, 2, 0]


def test_many_missing_images_are_counted(tmp_path: Path) -> None:
    write_proposals(tmp_path / "p.safetensors", sample())
    with pytest.raises(DataError, match=r"no entry for images of the data set: 997, with the ids 0, 1, 2, 3, 7.* …$"):
        read_proposals(tmp_path / "p.safetensors", list(range(1000)))
