from pathlib import Path

import pytest
from PIL import Image

from resdet.data.formats.folder import read_folder
from resdet.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b/2.png", "b/10.PNG", "b/deeper/1.jpg", "a/x.jpeg", "b/notes.txt", "a/.hidden.png", ".git/y.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    Image.new("RGB", (7, 5), (9, 9, 9)).save(tmp_path / "b" / "2.png")
    (tmp_path / "list.csv").touch()
    return tmp_path


def test_sorted_classes_and_files(root: Path) -> None:
    dataset = read_folder(root)
    assert dataset.names == ("a", "b")
    paths = [dataset.path(index).relative_to(root).as_posix() for index in range(len(dataset))]
    assert paths == ["a/x.jpeg", "b/10.PNG", "b/2.png", "b/deeper/1.jpg"]
    assert [dataset.label(index) for index in range(4)] == [0, 1, 1, 1]
    assert dataset.load(2).size == (7, 5)
    with pytest.raises(DataError, match=r"x\.jpeg: cannot be read as an image: the file is empty"):
        dataset.load(0)


def test_classes_are_mapped_by_name(root: Path) -> None:
    dataset = read_folder(root, ["b", "c", "a"])
    assert dataset.names == ("b", "c", "a")
    assert [dataset.label(index) for index in range(4)] == [2, 0, 0, 0]


def test_defects(root: Path, tmp_path: Path) -> None:
    (root / "empty").mkdir()
    (root / "texts").mkdir()
    (root / "texts" / "a.txt").touch()
    with pytest.raises(DataError) as caught:
        read_folder(root, ["a", "b", "empty", "text"])
    unknown, difference, empty, texts = caught.value.problems
    assert "class 'texts' is not among the classes asked for (did you mean 'text'?)" in unknown
    assert "only in the file: texts; only asked for: text" in difference
    assert empty.startswith(f"{root / 'empty'}: holds no image")
    assert empty.endswith(": fill the folder, or remove it")
    assert texts.startswith(f"{root / 'texts'}: holds no image")
    with pytest.raises(DataError, match="must hold one folder a class, got none"):
        read_folder(root / "empty")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_folder(root / "nowhere")


def test_a_thousand_other_classes_are_told_in_a_few_lines(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"there{number:03}").mkdir()
        (tmp_path / f"there{number:03}" / "a.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path, [f"n{number:08}" for number in range(1000)])
    assert len(caught.value.problems) == 5 + 1
    assert sum(map(len, caught.value.problems)) < 2000
    assert "there019 and 280 more; only asked for: n00000000" in caught.value.problems[-1]
    assert caught.value.problems[-1].endswith("n00000019 and 980 more")
