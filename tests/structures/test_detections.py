"""Detections: what they hold, choosing among them, their rows for other tools."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.errors import ConfigError, DataError
from resdet.structures import Detection, Detections, xywh_to_xyxy
from resdet.structures.drawing import class_color


def _detections(scores: list[float]) -> Detections:
    count = len(scores)
    corners = xywh_to_xyxy(torch.arange(count * 4, dtype=torch.float32).reshape(count, 4) + 1)
    return Detections(corners, torch.tensor(scores), torch.arange(count), (100, 200), ["a", "b", "c"], image_id=9)


@pytest.mark.parametrize(
    ("boxes", "scores", "labels"),
    [((2, 4), (1,), (1,)), ((1, 4), (1,), (2,)), ((1, 5), (1,), (1,)), ((1, 4), (1, 1), (1,)), ((4,), (1,), (1,))],
)
def test_lengths_that_differ_are_refused(boxes: tuple[int, ...], scores: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Detections needs boxes"):
        Detections(torch.zeros(boxes), torch.zeros(scores), torch.zeros(labels, dtype=torch.int64), (5, 5))


def test_above_keeps_equal_scores() -> None:
    kept = _detections([0.9, 0.5, 0.1]).above(0.5)
    assert kept.labels.tolist() == [0, 1]
    assert kept.boxes.tolist() == [[1, 2, 4, 6], [5, 6, 12, 14]]
    assert (kept.size, kept.image_id, kept.names) == ((100, 200), 9, ["a", "b", "c"])
    assert len(_detections([0.3]).above(0.4)) == 0


def test_resized_and_back() -> None:
    detections = _detections([0.9, 0.5])
    half = detections.resized((50, 100))
    torch.testing.assert_close(half.boxes, detections.boxes / 2)
    torch.testing.assert_close(half.resized((100, 200)).boxes, detections.boxes)
    assert half.size == (50, 100)


def test_coco_rows() -> None:
    rows = _detections([0.5, 0.25]).to_coco()
    assert rows == [
        {"image_id": 9, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
        {"image_id": 9, "category_id": 2, "bbox": [5.0, 6.0, 7.0, 8.0], "score": 0.25},
    ]
    assert [row["category_id"] for row in _detections([0.5, 0.25]).to_coco([18, 44, 90])] == [18, 44]
    assert _detections([]).to_coco() == []


@given(st.lists(st.tuples(*[st.floats(0, 1000, width=32)] * 2, *[st.floats(0.5, 1000, width=32)] * 2), max_size=5))
def test_coco_rows_are_not_rounded(rows: list[tuple[float, float, float, float]]) -> None:
    boxes = xywh_to_xyxy(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))
    count = len(rows)
    detections = Detections(boxes, torch.full((count,), 0.1), torch.zeros(count, dtype=torch.int64), (2000, 2000))
    for row, (x1, y1, x2, y2) in zip(detections.to_coco(), boxes.tolist(), strict=True):
        assert row["bbox"] == [x1, y1, x2 - x1, y2 - y1]
        assert row["score"] == torch.tensor(0.1).item()


def test_a_list_of_rows() -> None:
    found = _detections([0.75, 0.5, 0.25])
    rows = [
        Detection((1.0, 2.0, 4.0, 6.0), 0.75, 0, "a"),
        Detection((5.0, 6.0, 12.0, 14.0), 0.5, 1, "b"),
        Detection((9.0, 10.0, 20.0, 22.0), 0.25, 2, "c"),
    ]
    assert list(found) == rows
    assert [found[place] for place in range(3)] == rows
    assert found[-1] == found[np.int64(2)] == rows[2]
    assert rows[1].box[3] == 14
    with pytest.raises(IndexError):
        found[3]
    assert list(_detections([])) == []


def test_rows_without_names_are_called_by_their_label() -> None:
    found = Detections(torch.zeros(1, 4), torch.ones(1), torch.tensor([7]), (5, 5))
    assert [each.name for each in found] == ["7"]
    assert found.summary() == "1 7"


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        pytest.param(slice(1, None), [1, 2], id="slice"),
        pytest.param(slice(None, None, -1), [2, 1, 0], id="backwards"),
        pytest.param(slice(5, 9), [], id="nothing"),
        pytest.param(torch.tensor([True, False, True]), [0, 2], id="mask"),
        pytest.param(np.array([False, True, True]), [1, 2], id="mask of numpy"),
        pytest.param([True, False, False], [0], id="list of bools"),
        pytest.param(torch.tensor([2, 0]), [2, 0], id="places"),
        pytest.param(np.array([-1]), [2], id="places of numpy"),
        pytest.param([1, 1], [1, 1], id="list of places"),
        pytest.param([], [], id="empty list"),
        pytest.param(torch.tensor(1), [1], id="one place in a tensor"),
    ],
)
def test_slices_masks_and_places_give_detections(key: Any, kept: list[int]) -> None:
    found = _detections([0.75, 0.5, 0.25])
    some = found[key]
    rows = list(found)
    assert isinstance(some, Detections)
    assert list(some) == [rows[place] for place in kept]
    assert (some.size, some.image_id, some.names) == ((100, 200), 9, ["a", "b", "c"])


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(IndexError, match="mask"):
        _detections([0.75, 0.5, 0.25])[torch.tensor([True, False])]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [0, 1, 2, 3]),
        ({"classes": "a"}, [0, 3]),
        ({"classes": 1}, [1]),
        ({"classes": ["c", "a"]}, [0, 2, 3]),
        ({"classes": (2, "b")}, [1, 2]),
        ({"classes": iter([np.int64(2)])}, [2]),
        ({"classes": []}, []),
        ({"score": 0.5}, [0, 1]),
        ({"classes": "a", "score": 0.5}, [0]),
    ],
)
def test_filter_by_names_labels_and_score(options: dict[str, Any], kept: list[int]) -> None:
    found = Detections(
        torch.eye(4), torch.tensor([0.75, 0.5, 0.25, 0.125]), torch.tensor([0, 1, 2, 0]), (5, 5), ["a", "b", "c"]
    )
    rows = list(found)
    assert list(found.filter(**options)) == [rows[place] for place in kept]


def test_every_wrong_class_and_a_wrong_score_are_named() -> None:
    found = Detections(torch.zeros(1, 4), torch.ones(1), torch.zeros(1, dtype=torch.int64), (5, 5), ["person", "horse"])
    with pytest.raises(ConfigError) as caught:
        found.filter(classes=["persons", "horse", 2, -1], score=1.5)
    assert caught.value.problems == (
        "'score' must be in [0, 1], got 1.5",
        "unknown class 'persons' (did you mean 'person'?)",
        "a class's label must be in 0 … 1, got 2",
        "a class's label must be in 0 … 1, got -1",
    )
    with pytest.raises(ConfigError, match=r"'score' must be in \[0, 1\], got nan"):
        found.filter(score=float("nan"))
    with pytest.raises(ConfigError, match=r"unknown class 'zebra' \(known: horse, person\)"):
        found.filter(classes="zebra")


def test_two_classes_of_one_name_are_both_kept() -> None:
    found = Detections(torch.eye(4)[:3], torch.ones(3), torch.tensor([0, 1, 2]), (5, 5), ["crane", "dog", "crane"])
    assert [each.label for each in found.filter(classes="crane")] == [0, 2]


def test_coco_rows_of_another_image_id_are_json() -> None:
    rows = _detections([0.5]).to_coco([18, 44, 90], image_id=139)
    assert json.loads(json.dumps(rows)) == [{"image_id": 139, "category_id": 18, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5}]
    assert _detections([0.5]).to_coco(image_id=0)[0]["image_id"] == 0


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    found = _detections([0.75, 0.5])
    table = found.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == ["image_id", "name", "label", "score", "x1", "y1", "x2", "y2"]
    assert [tuple(row) for row in table.itertuples(index=False)] == [
        (9, each.name, each.label, each.score, *each.box) for each in found
    ]
    assert len(_detections([]).to_pandas()) == 0
    assert _detections([]).to_pandas().dtypes.equals(table.dtypes)


def test_supervision() -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is optional")
    found = _detections([0.75, 0.5])
    theirs = found.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs.xyxy.tolist() == found.boxes.tolist()
    assert theirs.confidence.tolist() == [0.75, 0.5]
    assert theirs.class_id.tolist() == [0, 1]
    assert theirs["class_name"].tolist() == ["a", "b"]
    assert theirs[theirs.confidence > 0.6]["class_name"].tolist() == ["a"]
    assert len(_detections([]).to_supervision()) == 0


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *arguments)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"Detections\.to_{package} needs {package}: pip install {package}$"):
        getattr(_detections([0.5]), f"to_{package}")()


def test_drawing_on_whatever_is_a_picture(tmp_path: Path) -> None:
    found = Detections(torch.tensor([[10.0, 10.0, 60.0, 40.0]]), torch.ones(1), torch.tensor([1]), (50, 80))
    image = Image.new("RGB", (80, 50), (200, 10, 10))
    image.save(tmp_path / "a.png")
    expected = np.asarray(found.draw(image))
    assert tuple(expected[40, 30]) == class_color(1)
    array = np.asarray(image)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), array, torch.from_numpy(array.copy()).permute(2, 0, 1)):
        assert np.array_equal(np.asarray(found.draw(source)), expected)
    assert np.array_equal(np.asarray(found.draw(array[:, :, ::-1], color="bgr")), expected)
    assert np.array_equal(np.asarray(image), array)  # the picture itself stays as it is


def test_drawing_on_the_picture_that_was_searched(tmp_path: Path) -> None:
    columns = (torch.tensor([[10.0, 10.0, 60.0, 40.0]]), torch.ones(1), torch.tensor([1]), (50, 80))
    image = Image.new("RGB", (80, 50), (200, 10, 10))
    image.save(tmp_path / "a.png")
    expected = np.asarray(Detections(*columns).draw(image))
    assert np.array_equal(np.asarray(Detections(*columns, image=image).draw()), expected)
    assert np.array_equal(np.asarray(Detections(*columns, path=str(tmp_path / "a.png")).draw()), expected)
    # a frame of a video knows both: the frame counts
    assert np.array_equal(np.asarray(Detections(*columns, path="clip.mp4", image=image).draw()), expected)
    with pytest.raises(ConfigError, match="draw: these detections know no picture, 'image' must be given, got None"):
        Detections(*columns).draw()
    with pytest.raises(DataError, match=r"gone\.png: no such image file"):
        Detections(*columns, path="gone.png").draw()
