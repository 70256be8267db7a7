from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.errors import DataError
from resdet.evaluation.localization import Guesses, Localization
from resdet.evaluation.submissions import read_class_ids, read_submission, write_ilsvrc, write_kaggle

NAMES = ("n01", "n02", "n03")
IDS = [7, 1, 30]
IMAGES = ["val_2", "val_10", "val_1"]


def guesses(labels: list[int], boxes: list[list[float]]) -> Guesses:
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Guesses(torch.tensor(labels, dtype=torch.int64), rows)


FOUND = [
    Localization(guesses([2, 0], [[0.4, 1.6, 10.2, 20.0], [3.0, 3.0, 3.2, 4.0]])),
    Localization(),
    Localization(guesses([1] * 6, [[0.0, 0.0, 5.0, 5.0]] * 6)),
]


def test_the_files_by_hand(tmp_path: Path) -> None:
    write_kaggle(tmp_path / "a.csv", IMAGES, FOUND, IDS)
    five = " ".join(["1 0 0 4 4"] * 5)
    assert (tmp_path / "a.csv").read_bytes().decode().splitlines() == [
        "ImageId,PredictionString",
        "val_2,30 0 2 9 19 7 3 3 3 3",
        "val_10,",
        f"val_1,{five}",
    ]
    write_ilsvrc(tmp_path / "a.txt", IMAGES, FOUND, IDS)
    # in the alphabetical order of the images
    assert (tmp_path / "a.txt").read_text() == f"{five}\n\n30 0 2 9 19 7 3 3 3 3\n"


CORNERS = st.tuples(*[st.integers(0, 500)] * 2, *[st.integers(1, 300)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), CORNERS), max_size=5), min_size=3, max_size=3))
def test_whole_pixels_come_back(tmp_path_factory: pytest.TempPathFactory, images: list) -> None:
    found = [Localization(guesses([label for label, _ in pairs], [box for _, box in pairs])) for pairs in images]
    folder = tmp_path_factory.getbasetemp()
    for name, write in (("a.csv", write_kaggle), ("a.txt", write_ilsvrc)):
        write(folder / name, IMAGES, found, IDS)
        for expected, read in zip(found, read_submission(folder / name, IMAGES, NAMES, IDS), strict=True):
            assert torch.equal(read.guesses.labels, expected.guesses.labels)
            assert torch.equal(read.guesses.boxes, expected.guesses.boxes)
            assert read.box is None


def test_class_names_in_place_of_numbers_and_more_than_five(tmp_path: Path) -> None:
    path = tmp_path / "solution.CSV"
    path.write_text("PredictionString,ImageId\nn03 0 0 4 4 ,val_1\n" + "1 0 0 0 0 " * 6 + ",val_2\n,val_10\n")
    second, tenth, first = read_submission(path, IMAGES, NAMES, IDS)
    assert first.guesses.labels.tolist() == [2]
    assert first.guesses.boxes.tolist() == [[0, 0, 5, 5]]
    assert second.guesses.labels.tolist() == [1] * 5
    assert tenth.guesses.boxes.shape == (0, 4)


def test_every_problem_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        "ImageId,PredictionString\n"
        "val_1,8 0 0 4 4 7 0 0 x 4 1 5 0 4 4 1 0 0 nan 4 1 0 0 inf 4 1\n"
        "val_1,1 0 0 1 1\nval_3,\nval_2,a,b\n"
    )
    with pytest.raises(DataError) as caught:
        read_submission(path, IMAGES, NAMES, IDS)
    rule = "a box must be finite, with xmin <= xmax and ymin <= ymax, got"
    assert list(caught.value.problems) == [
        f"{path}: line 5: must have 2 fields as the first line, got 3",
        f"{path}: line 3: val_1 has a line already",
        f"{path}: line 4: image 'val_3' is not in the data set",
        f"{path}: has no line for 2 of 3 images, the first: val_2",
        f"{path}: line 2: must be 'class xmin ymin xmax ymax', again and again, got 26 words",
        f"{path}: line 2: unknown class '8'",
        f"{path}: line 2: must be 'class xmin ymin xmax ymax', again and again, got '7 0 0 x 4'",
        f"{path}: line 2: {rule} 5 0 4 4",
        f"{path}: line 2: {rule} 0 0 nan 4",
        f"{path}: line 2: {rule} 0 0 inf 4",
    ]


def test_a_text_of_another_length(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 0 0 1 1\n")
    with pytest.raises(DataError, match="must have one line for each of 3 images, got 1"):
        read_submission(tmp_path / "a.txt", IMAGES, NAMES, IDS)
    with pytest.raises(DataError, match="cannot be read"):
        read_submission(tmp_path / "none.txt", IMAGES, NAMES, IDS)


def test_texts_that_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"7 0 0 1 1\n" * 3)
    assert [each.guesses.labels.tolist() for each in read_submission(path, IMAGES, NAMES, IDS)] == [[0]] * 3
    path.write_bytes(b"\xef\xbb\xbfn01\nn03\nn02\n")
    assert read_class_ids(path, NAMES) == [1, 3, 2]


def test_class_ids_are_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "synsets.txt"
    path.write_text("n09 other\nn03 c\n\nn01 a, b\nn02\n")
    assert read_class_ids(path, NAMES) == [4, 5, 2]
    path.write_text("n01\nn02\nn01\n")
    with pytest.raises(DataError) as caught:
        read_class_ids(path, NAMES)
    assert list(caught.value.problems) == [f"{path}: line 3: n01 has a line already", f"{path}: has no line for class 'n03'"]
