"""Prediction files, and their average."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.errors import ConfigError, DataError
from resdet.evaluation import Predictions, average_predictions, read_predictions, write_predictions
from resdet.evaluation.predictions import class_difference, normalized_shares, shown

NAMES = ("cat", "dog", "crane", "crane")


def some(images: int = 5, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(4), images).astype(np.float32).reshape(images, 4)
    labels = np.random.default_rng(99).integers(0, 4, images)
    return Predictions(probabilities, labels, NAMES, tuple(f"ä {k}/x, y.png" for k in range(images)))


def arrays(predictions: Predictions) -> dict[str, Any]:
    return {
        "probabilities": predictions.probabilities,
        "labels": predictions.labels,
        "names": np.array(predictions.names),
        "files": np.array(predictions.files, dtype=np.str_),
    }


@pytest.mark.parametrize("images", [0, 1, 5])
def test_what_is_written_is_read(tmp_path: Path, images: int) -> None:
    path = tmp_path / "new" / "predictions.npz"
    write_predictions(path, some(images))
    found = read_predictions(path)
    assert np.array_equal(found.probabilities, some(images).probabilities)
    assert found.probabilities.dtype == np.float32
    assert np.array_equal(found.labels, some(images).labels)
    assert (found.names, found.files) == (NAMES, some(images).files)
    assert [each.name for each in path.parent.iterdir()] == ["predictions.npz"]
    with np.load(path, allow_pickle=False) as content:  # the documented layout
        assert {name: content[name].dtype.kind for name in content} == {
            "probabilities": "f",
            "labels": "i",
            "names": "U",
            "files": "U",
        }


def test_the_same_predictions_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_predictions(tmp_path / name, some())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"names": None, "files": None}, ["array 'names' is missing", "array 'files' is missing"]),
        ({"labels": np.zeros(5)}, ["array 'labels' must be integer with 1 axes, got float64 with 1 axes"]),
        ({"probabilities": np.zeros(5)}, ["array 'probabilities' must be floating with 2 axes, got float64 with 1 axes"]),
        ({"names": np.array([1, 2])}, ["array 'names' must be string with 1 axes"]),
        (
            {"labels": np.zeros(4, np.int64)},
            ["must be (images, classes) with a class at least, got 4 labels, 5 files and 4 names"],
        ),
        ({"names": np.array(["a"])}, ["got 5 labels, 5 files and 1 names"]),
        ({"probabilities": np.zeros((5, 0)), "names": np.array([], np.str_)}, ["with a class at least"]),
        ({"labels": np.array([0, 1, 2, 3, 4])}, ["labels must be in 0 … 3, got 0 … 4"]),
        ({"labels": np.array([0, 1, 2, 3, -1])}, ["labels must be in 0 … 3, got -1 … 3"]),
        ({"probabilities": np.full((5, 4), np.nan)}, ["they do not for 5 of 5 (ä 0/x, y.png: nan, nan, nan, nan)"]),
        ({"probabilities": np.full((5, 4), 0.26)}, ["sum to 1 for each image, they do not for 5 of 5"]),
        (
            {"probabilities": np.array([[1.5, -0.5, 0, 0]] + [[1.0, 0, 0, 0]] * 4)},
            ["do not for 1 of 5 (ä 0/x, y.png: 1.5, -0.5, 0, 0)"],
        ),
        ({"probabilities": np.full((5, 4), np.inf), "labels": np.full(5, 7)}, ["labels must be", "do not for 5 of 5"]),
    ],
)
def test_broken_arrays(tmp_path: Path, change: dict[str, Any], messages: list[str]) -> None:
    content = {name: value for name, value in {**arrays(some()), **change}.items() if value is not None}
    np.savez(tmp_path / "p.npz", **content)
    with pytest.raises(DataError) as error:
        read_predictions(tmp_path / "p.npz")
    assert len(error.value.problems) == len(messages)
    for problem, message in zip(error.value.problems, messages, strict=True):
        assert problem.startswith(f"{tmp_path / 'p.npz'}: ")
        assert message in problem


@pytest.mark.parametrize(("row", "text"), [([], ""), ([0.5, 1 / 3], "0.5, 0.333333"), ([1] * 4, "1, 1, 1, 1")])
def test_the_first_numbers_of_a_row(row: list[float], text: str) -> None:
    assert shown(np.array(row)) == text
    assert shown(np.array([1, 2, 3, 4, 5])) == "1, 2, 3, 4, …"


def test_half_precision_and_rounded_sums_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", **{**arrays(some()), "probabilities": np.full((5, 4), 0.25, np.float16) + np.float16(2e-4)})
    assert read_predictions(tmp_path / "p.npz").probabilities.dtype == np.float32


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.npz: no such predictions file"):
        read_predictions(tmp_path / "gone.npz")
    write_predictions(tmp_path / "good.npz", some())
    good = (tmp_path / "good.npz").read_bytes()
    trap = np.array([Trap(tmp_path / "sprung")] * 5, dtype=object)
    np.savez(tmp_path / "object.npz", **{**arrays(some()), "files": trap})
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    middle = len(good) // 2
    contents = {
        "empty": b"",
        "text": b"hello",
        "cut": good[:middle],
        "flipped": good[:200] + bytes([good[200] ^ 255]) + good[201:],
        "bare": buffer.getvalue(),
        "pickle": pickle.dumps(Trap(tmp_path / "sprung")),
        "object": (tmp_path / "object.npz").read_bytes(),
    }
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("labels.npy", "no array")
    contents["zip"] = (tmp_path / "zip").read_bytes()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: "):
            read_predictions(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


# -------------------------------------------------------------------------------------------------------------- ensembles


@given(shares=st.lists(st.floats(0.001, 1000), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_the_average_against_loops(shares: list[float], seed: int) -> None:
    members = [some(4, seed + number) for number in range(len(shares))]
    found = average_predictions(members, shares)
    for image in range(4):
        for label in range(4):
            expected = sum(
                share * float(member.probabilities[image, label]) for share, member in zip(shares, members, strict=True)
            )
            assert found.probabilities[image, label] == pytest.approx(expected / sum(shares), abs=1e-6)
    assert found.probabilities.sum(1) == pytest.approx(1, abs=1e-5)
    assert (found.names, found.files) == (members[0].names, members[0].files)


def test_one_member_is_left_as_it_is_and_equal_shares_are_the_default() -> None:
    assert np.array_equal(average_predictions([some()], [7.0]).probabilities, some().probabilities)
    both = [some(seed=1), some(seed=2)]
    assert np.array_equal(average_predictions(both).probabilities, average_predictions(both, [3, 3]).probabilities)
    assert average_predictions([some(0), some(0)]).probabilities.shape == (0, 4)


@pytest.mark.parametrize(
    ("shares", "got"),
    [
        ([1], "got 1"),
        ([], "got none"),
        ([1, 0], "1, 0"),
        ([1, -2], "-2"),
        ([1, float("nan")], "nan"),
        ([1, float("inf")], "inf"),
    ],
)
def test_shares_out_of_range(shares: list[float], got: str) -> None:
    with pytest.raises(ConfigError, match=rf"one number above 0 for each of 2 members, got .*{got.removeprefix('got ')}"):
        normalized_shares(shares, 2)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"names": ("cat", "dog", "crane", "owl")}, ConfigError, "b: class 3 is 'owl', but 'crane' in a"),
        ({"names": ("dog", "cat", "crane", "crane")}, ConfigError, "b: class 0 is 'dog', but 'cat' in a"),
        ({"names": NAMES[:3]}, ConfigError, "b: 3 classes, but 4 in a"),
        ({"files": some().files[:4]}, DataError, "b: 4 images, but 5 in a"),
        ({"files": ("other.png", *some().files[1:])}, DataError, "b: image 0 is other.png, but ä 0/x, y.png in a"),
        ({"labels": (some().labels + 1) % 4}, DataError, "b: the label of ä 0/x, y.png is 0, but 3 in a"),
    ],
)
def test_predictions_that_do_not_belong_together(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        average_predictions([some(), replace(some(), **change)], sources=["a", "b"])
    assert str(error.value) == message


def test_class_difference() -> None:
    assert class_difference(NAMES, NAMES) is None
    assert class_difference([*NAMES, "owl"], NAMES) == "5 classes, but 4"
