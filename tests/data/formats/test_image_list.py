import json
from pathlib import Path

import pytest

from resdet.data.formats.image_list import read_image_list
from resdet.errors import DataError

ROWS = [("cats/1.png", "cat"), ("dogs/1.png", "dog"), ("cats/2.png", "cat")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for name, _ in ROWS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write_csv(root: Path, rows: list[tuple[str, str]], header: str = "path,label") -> Path:
    path = root.parent / "list.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def write_json(root: Path, content: object) -> Path:
    path = root.parent / "list.json"
    path.write_text(json.dumps(content))
    return path


def told(root: Path, path: Path, names: list[str] | None = None) -> list[str]:
    with pytest.raises(DataError) as caught:
        read_image_list(root, path, names)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def labelled(root: Path, path: Path, names: list[str] | None = None) -> list[tuple[str, str]]:
    dataset = read_image_list(root, path, names)
    return [
        (dataset.path(index).relative_to(root).as_posix(), dataset.names[dataset.label(index)]) for index in range(len(dataset))
    ]


def test_csv_and_json_say_the_same(root: Path) -> None:
    entries = [{"path": path, "label": label, "photographer": "x"} for path, label in ROWS]
    assert labelled(root, write_csv(root, ROWS)) == ROWS
    assert labelled(root, write_json(root, entries)) == ROWS
    assert read_image_list(root, root.parent / "list.csv").names == ("cat", "dog")


def test_what_spreadsheets_write(root: Path) -> None:
    path = root.parent / "list.txt"
    path.write_bytes(b'\xef\xbb\xbflabel, id ,path\r\n cat ,7,"cats/1.png"\r\n\r\n"dog, big",8, dogs/1.png\r\n')
    assert labelled(root, path) == [("cats/1.png", "cat"), ("dogs/1.png", "dog, big")]


@pytest.mark.parametrize("path_name", ["filename", "file", "image", "image_path", "file_name", "Path"])
@pytest.mark.parametrize("label_name", ["label", "Class", "category", "class_name"])
def test_columns_of_other_names_are_read_with_a_note(root: Path, path_name: str, label_name: str) -> None:
    renamed = [f"'{name}' as {own}" for name, own in ((path_name, "path"), (label_name, "label")) if name != own]
    note = "list.* reads the column " + ", the column ".join(renamed)
    with pytest.warns(UserWarning, match=note):
        assert labelled(root, write_csv(root, ROWS, f"{path_name},{label_name}")) == ROWS
    with pytest.warns(UserWarning, match=note):
        assert labelled(root, write_json(root, [{path_name: path, label_name: label} for path, label in ROWS])) == ROWS


def test_a_column_of_the_right_name_wins(root: Path) -> None:
    entries = [{"file": "x", "path": path, "class": "x", "label": label} for path, label in ROWS]
    assert labelled(root, write_json(root, entries)) == ROWS


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["01", "1", "0"], ("0", "01", "1")),
        (["1.5", "10", "9"], ("1.5", "10", "9")),
        (["B", "a", "C"], ("B", "C", "a")),
    ],
)
def test_names_are_sorted(root: Path, labels: list[str], names: tuple[str, ...]) -> None:
    rows = [(path, label) for (path, _), label in zip(ROWS, labels, strict=True)]
    path = write_csv(root, rows)
    assert read_image_list(root, path).names == names
    assert labelled(root, path) == rows


def test_numbers_are_taken_as_their_text(root: Path) -> None:
    path = write_json(root, [{"path": path, "label": label} for (path, _), label in zip(ROWS, (10, "9", 9), strict=True)])
    assert read_image_list(root, path).names == ("9", "10")
    assert [label for _, label in labelled(root, path)] == ["10", "9", "9"]


@pytest.mark.parametrize("name", ["/content/x/cats/1.png", "C:\\photos\\cats\\1.png", "away/cats/1.png", "cats/1"])
def test_paths_of_another_computer_are_found_by_name(root: Path, name: str) -> None:
    path = write_csv(root, [(name, "cat"), *ROWS[1:]])
    with pytest.warns(UserWarning, match="1 images are found by their file names alone, the first: line 2"):
        dataset = read_image_list(root, path)
    assert dataset.path(0) == root / "cats" / "1.png"


def test_no_image_stands_in_for_two(root: Path) -> None:
    path = write_csv(root, [*ROWS, ("away/2.png", "cat")])
    with pytest.raises(DataError, match=r"no such image file: .*away/2\.png") as caught:
        read_image_list(root, path)
    assert len(caught.value.problems) == 1
    path = write_csv(root, [("away/2.png", "cat"), ("far/2.png", "cat"), *ROWS[:2]])
    with pytest.warns(UserWarning, match="1 images are found"), pytest.raises(DataError, match=r"image file: .*far/2\.png"):
        read_image_list(root, path)


def test_names_of_the_caller_win(root: Path) -> None:
    path = write_csv(root, ROWS)
    dataset = read_image_list(root, path, ["dog", "cow", "cat"])
    assert dataset.names == ("dog", "cow", "cat")
    assert [dataset.label(index) for index in range(3)] == [2, 0, 2]
    assert told(root, path, ["cat", "dig"]) == [
        "class 'dog' is not among the classes asked for (did you mean 'dig'?)",
        "only in the file: dog; only asked for: dig",
        "line 3: uses class 'dog'",
    ]


def test_every_problem_of_a_csv_file_by_line(root: Path) -> None:
    outside = root.parent / "outside.png"
    outside.touch()
    (root / "link.png").symlink_to(outside)
    (root / "away").symlink_to(root.parent)
    (root / "inside.png").symlink_to(root / "cats" / "1.png")
    rows = [
        ("cats/1.png", "cat"),
        ("cats/./1.png", "dog"),
        ("", "cat"),
        ("cats/2.png", " "),
        ("nowhere.png", "cat"),
        ("/etc/passwd", "cat"),
        ("../outside.png", "cat"),
        ("link.png", "cat"),
        ("away/outside.png", "cat"),
        ("inside.png", "cat"),
        ("cats", "cat"),
        ("a", "b", "c"),
    ]
    assert told(root, write_csv(root, rows)) == [
        "line 13: must have 2 fields as the first line, got 3",
        "line 4: path must not be empty",
        "line 5: label must not be empty",
        "line 3: 'cats/./1.png' is listed already: line 2",
        "line 7: file name must be relative and stay in the images' folder, got '/etc/passwd'",
        "line 8: file name must be relative and stay in the images' folder, got '../outside.png'",
        f"line 9: 'link.png' must stay in the images' folder {root}, is linked to {outside}",
        f"line 10: 'away/outside.png' must stay in the images' folder {root}, is linked to {outside}",
        f"line 6: no such image file: {root / 'nowhere.png'}",
        f"line 12: is no file: {root / 'cats'}",
    ]


def test_every_problem_of_a_json_file_by_entry(root: Path) -> None:
    entries = [
        {"path": "cats/1.png", "label": "cat"},
        ["cats/2.png", "cat"],
        {"path": 3},
        {"path": "cats/2.png", "label": True},
        {"path": "cats/2.png", "label": None},
        {"path": " ", "label": ""},
        {"path": "cats/\0.png", "label": "cat"},
        {"path": "cats/\ud800.png", "label": "cat"},
        {"path": "C:\\1.png", "label": "cat"},
        {"path": "x" * 5000, "label": "cat"},
    ]
    problems = told(root, write_json(root, entries))
    assert problems[:-1] == [
        "entry 2: must be an object with path and label, got list",
        "entry 3: path must be a non-empty string, got 3",
        "entry 3: label must be a non-empty string or a number, got None",
        "entry 4: label must be a non-empty string or a number, got True",
        "entry 5: label must be a non-empty string or a number, got None",
        "entry 6: path must be a non-empty string, got ' '",
        "entry 6: label must be a non-empty string or a number, got ''",
        "entry 7: file name must be relative and stay in the images' folder, got 'cats/\\x00.png'",
        "entry 8: file name must be text, got 'cats/\\ud800.png'",
        "entry 9: file name must be relative and stay in the images' folder, got 'C:\\\\1.png'",
    ]
    assert problems[-1].startswith("entry 10: no such image file: ")


def test_a_linked_root_is_no_way_out(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    assert labelled(link, write_csv(root, ROWS)) == ROWS


def test_a_moved_folder_is_told_by_its_images(root: Path) -> None:
    (root.parent / "empty").mkdir()
    path = write_csv(root, ROWS)
    (problem,) = told(root.parent / "empty", path)
    assert problem.startswith("none of its 3 image files exists; ")


def test_broken_lists(root: Path) -> None:
    assert told(root, write_csv(root, [])) == ["lists no image"]
    assert told(root, write_json(root, [])) == ["lists no image"]
    assert told(root, write_csv(root, ROWS, "picture,label")) == [
        "its first line must name the columns path,label; path is missing"
    ]
    assert told(root, write_json(root, {"path": "x"})) == ["must be a list of objects with path and label, got dict"]
    path = root.parent / "list.json"
    path.write_text("[")
    assert told(root, path)[0].startswith("is not JSON: ")
    path.write_bytes(b'["\xff"]')
    assert told(root, path)[0].startswith("is not JSON: ")
    assert told(root, root.parent / "none.json") == ["cannot be read: No such file or directory"]
    assert told(root, root.parent / "none.csv") == ["cannot be read: No such file or directory"]
    empty = root.parent / "empty.csv"
    empty.touch()
    assert told(root, empty) == ["its first line must name the columns path,label; path,label is missing"]
    empty.write_text('path,label\ncats/1.png,"a"b\n')
    assert told(root, empty)[0].startswith("is not CSV, after line 1: ")
