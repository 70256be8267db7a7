"""Names of files as other systems write them: with backslashes, in other letters, with characters that Windows lacks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from resdet.data.convert.write import convert_dataset
from resdet.data.dataset import concatenate
from resdet.data.formats.coco import read_coco
from resdet.data.formats.file_names import unsafe_name
from resdet.data.formats.image_list import read_image_list
from resdet.data.formats.image_names import only_listed
from resdet.data.formats.yolo import read_yolo
from resdet.errors import ConfigError, DataError
from resdet.files import identity, walk_files, write_csv, write_json, write_text
from resdet.prediction.written import refuse_to_overwrite


def images(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(path)


def coco(folder: Path, *names: str) -> Path:
    rows = [{"id": number, "file_name": name, "width": 20, "height": 10} for number, name in enumerate(names, 1)]
    boxes = [{"id": row["id"], "image_id": row["id"], "category_id": 1, "bbox": [1, 1, 9, 5]} for row in rows]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": rows, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}))
    return path


def test_coco_of_windows_is_read(tmp_path: Path) -> None:
    images(tmp_path, "train/1.jpg", "train/sub/2.jpg")
    dataset = read_coco(tmp_path, coco(tmp_path, "train\\1.jpg", "train\\sub/2.jpg"))
    assert [dataset.path(index) for index in range(2)] == [tmp_path / "train" / "1.jpg", tmp_path / "train" / "sub" / "2.jpg"]


@pytest.mark.skipif(os.sep == "\\", reason="no name holds a backslash there")
def test_a_file_whose_name_holds_a_backslash_is_that_file(tmp_path: Path) -> None:
    images(tmp_path, "a\\b.jpg", "a/b.jpg")
    dataset = read_coco(tmp_path, coco(tmp_path, "a\\b.jpg", "a/b.jpg"))
    assert [dataset.path(index).parent.name for index in range(2)] == [tmp_path.name, "a"]


def test_a_missing_file_of_windows_is_named(tmp_path: Path) -> None:
    images(tmp_path, "a/b.jpg")
    with pytest.raises(DataError, match=f"no such image file: {tmp_path / 'a' / 'c.jpg'}"):
        read_coco(tmp_path, coco(tmp_path, "a\\b.jpg", "a\\c.jpg"))


@pytest.mark.parametrize("name", ["..\\up.jpg", "a\\..\\..\\up.jpg", "C:\\x.jpg", "\\\\host\\share\\x.jpg", "\\x.jpg"])
def test_backslashes_do_not_leave_the_folder(name: str, tmp_path: Path) -> None:
    images(tmp_path.parent, "up.jpg")
    with pytest.raises(DataError, match="must be relative and stay in the images' folder"):
        read_coco(tmp_path, coco(tmp_path, name))


def test_yolo_of_windows_is_read(tmp_path: Path) -> None:
    images(tmp_path, "images/train/1.jpg", "images/val/2.jpg")
    (tmp_path / "data.yaml").write_text("train: '..\\images\\train'\nval: lists\\val.txt\nnames: [a]\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "val.txt").write_text("..\\images\\val\\2.jpg\r\n")
    assert read_yolo(tmp_path, "train").path(0) == tmp_path / "images" / "train" / "1.jpg"
    (tmp_path / "lists" / "val.txt").write_text("images\\val\\2.jpg\r\n")
    (tmp_path / "val.txt").write_bytes((tmp_path / "lists" / "val.txt").read_bytes())
    (tmp_path / "data.yaml").write_text("val: val.txt\nnames: [a]\n")
    assert read_yolo(tmp_path, "val").path(0) == tmp_path / "images" / "val" / "2.jpg"


def test_a_list_of_windows_is_read(tmp_path: Path) -> None:
    images(tmp_path, "cat/1.jpg", "dog/2.jpg")
    # as a spreadsheet there saves it: with a byte order mark
    (tmp_path / "list.csv").write_bytes("\ufeffpath,label\r\ncat\\1.jpg,cat\r\ndog\\2.jpg,dog\r\n".encode())
    dataset = read_image_list(tmp_path, tmp_path / "list.csv")
    assert [dataset.path(index) for index in range(2)] == [tmp_path / "cat" / "1.jpg", tmp_path / "dog" / "2.jpg"]
    found = read_coco(tmp_path, coco(tmp_path, "cat/1.jpg", "dog/2.jpg"))
    (tmp_path / "some.txt").write_bytes("\ufeffdog\\2.jpg\r\n".encode())
    assert only_listed(found, tmp_path / "some.txt", tmp_path, by_id=True).image_ids == [2]


@pytest.mark.parametrize(("name", "part"), [("a/con.jpg", "con"), ("x:y.jpg", ":"), ("dir./x.jpg", "dir."), ("a|b.jpg", "|")])
def test_windows_is_told_which_names_it_cannot_use(name: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert part in name
    monkeypatch.setattr(sys, "platform", "win32")
    assert "must be" in (unsafe_name(name) or "")
    monkeypatch.setattr(sys, "platform", "linux")
    assert unsafe_name(name) is None or ":" in name


@pytest.fixture
def one_case(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file system to which large and small letters are the same, for questions after a path."""
    real = Path.exists

    def exists(self: Path, **options: bool) -> bool:
        folder = self.parent
        return real(self, **options) or (
            real(folder) and any(entry.name.lower() == self.name.lower() for entry in folder.iterdir())
        )

    monkeypatch.setattr(Path, "exists", exists)
    return


@pytest.mark.usefixtures("one_case")
@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_images_that_differ_in_the_size_of_letters_are_not_merged(to: str, tmp_path: Path) -> None:
    images(tmp_path / "source", "Cat.jpg", "cat.jpg")
    dataset = read_coco(tmp_path / "source", coco(tmp_path, "Cat.jpg", "cat.jpg"))
    with pytest.raises(DataError, match=r"cat\.(jpg|xml|txt): another file is called so here, where large and small letters"):
        convert_dataset(dataset, to, tmp_path / "target", "val")
    assert not (tmp_path / "target").is_dir()


def test_one_file_of_two_ids_is_placed_once(tmp_path: Path) -> None:
    images(tmp_path / "source", "1.jpg")
    dataset = read_coco(tmp_path / "source", coco(tmp_path, "1.jpg"))
    dataset = concatenate([dataset, dataset])
    convert_dataset(dataset, "coco", tmp_path / "target", "val")
    assert [path.name for path in (tmp_path / "target" / "val").iterdir()] == ["1.jpg"]


def test_images_are_copied_where_links_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    images(tmp_path / "source", "1.jpg")
    convert_dataset(read_coco(tmp_path / "source", coco(tmp_path, "1.jpg")), "voc", tmp_path / "target", "val")
    placed = tmp_path / "target" / "JPEGImages" / "1.jpg"
    assert placed.read_bytes() == (tmp_path / "source" / "1.jpg").read_bytes()
    assert placed.stat().st_nlink == 1


@pytest.mark.parametrize("split", ["a\\b", "a/b", "..", "C:"])
def test_a_split_is_the_name_of_a_file(split: str, tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    with pytest.raises(ConfigError, match="the split's name must do as a file name"):
        convert_dataset(read_coco(tmp_path, coco(tmp_path, "1.jpg")), "coco", tmp_path / "target", split)


def test_an_input_by_another_name_is_not_overwritten(tmp_path: Path) -> None:
    images(tmp_path, "photo.jpg")
    other = tmp_path / "out" / "photo.jpg"
    other.parent.mkdir()
    os.link(tmp_path / "photo.jpg", other)
    with pytest.raises(ConfigError, match=r"would overwrite the input photo\.jpg"):
        refuse_to_overwrite([tmp_path / "photo.jpg"], [other])
    refuse_to_overwrite([tmp_path / "photo.jpg"], [tmp_path / "out" / "new.jpg"])


def test_links_in_a_circle_end_where_files_have_no_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    real = os.stat

    def stat(*arguments: object, **options: object) -> os.stat_result:
        status = list(real(*arguments, **options))
        status[1] = 0  # st_ino
        return os.stat_result(status)

    assert identity(tmp_path / "a" / "up") == identity(tmp_path)
    monkeypatch.setattr(os, "stat", stat)
    assert list(walk_files(tmp_path)) == [str(tmp_path / "a" / "file")]
    assert identity(tmp_path / "a") != identity(tmp_path)


def test_lines_end_alike_on_every_system(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "ä\nb\n")
    write_json(tmp_path / "json", {"a": [1]})
    write_csv(tmp_path / "csv", ["a"], [["b"]])
    assert (tmp_path / "text").read_bytes() == "ä\nb\n".encode()
    assert (tmp_path / "json").read_bytes() == b'{\n "a": [\n  1\n ]\n}\n'
    assert (tmp_path / "csv").read_bytes() == b"a\r\nb\r\n"
