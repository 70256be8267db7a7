"""What is found below a path: each layout that tools write, and what is said where nothing is found."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from layouts import COCO, LAYOUTS, fill

from resdet.data.found import find_data
from resdet.data.found.kinds import kind_of
from resdet.errors import ConfigError, DataError


def described(source: Any, root: Path) -> tuple[str, str, str, str]:
    """A source with paths relative to ``root``."""

    def relative(path: str) -> str:
        return Path(path).relative_to(root).as_posix().removeprefix(".") if path else ""

    return source.format, relative(source.root), relative(source.annotations), source.split


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(case: str, tmp_path: Path) -> None:
    files, train, val = LAYOUTS[case]
    found = find_data(fill(tmp_path, **files))
    assert [described(source, tmp_path) for source in found.train] == train
    assert (described(found.val, tmp_path) if found.val else None) == val


@pytest.mark.parametrize("case", ["voc itself", "ultralytics", "label studio"])
def test_an_archive_is_unpacked_once(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = fill(tmp_path / "here" / "export", **LAYOUTS[case][0])
    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in folder.rglob("*"):
            zipped.write(path, path.relative_to(folder.parent))
    first, second = find_data(archive), find_data(archive)
    assert first == second
    unpacked = Path(first.train[0].root)
    assert unpacked.is_relative_to(tmp_path / "cache")
    assert [entry.name for entry in (tmp_path / "cache" / "resdet" / "data").iterdir()] == [
        unpacked.relative_to(tmp_path / "cache" / "resdet" / "data").parts[0]
    ]


def test_an_archive_in_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as zipped:
        zipped.writestr("a.json", json.dumps(COCO))
        zipped.writestr("a.jpg", "")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as zipped:
        zipped.write(tmp_path / "inner.zip", "inner.zip")
        zipped.writestr("__MACOSX/._inner.zip", "")
    assert find_data(tmp_path / "outer.zip").train[0].format == "coco"


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as zipped:
        zipped.writestr("../../out.txt", "x")
    for _ in range(2):  # what the first try left must not be taken for the data
        with pytest.raises(DataError, match=r"\.\."):
            find_data(tmp_path / "bad.zip")
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("case", ["yolo without a yaml", "yolo in parts without a yaml"])
def test_names_and_parts_of_a_folder_in_a_folder_count(case: str, tmp_path: Path) -> None:
    files, train, val = LAYOUTS[case]
    inner = fill(tmp_path / "export" / "set", **files)
    found = find_data(tmp_path)
    assert [described(source, inner) for source in found.train] == train
    assert (described(found.val, inner) if found.val else None) == val


def test_links_back_to_a_folder_above_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "a.jpg").touch()
    for name, target in (("x/again", "."), ("x/once more", ".."), ("x/y/z", "../../other"), ("other", "x")):
        (tmp_path / name).symlink_to(target)
    with pytest.raises(DataError, match="no annotations found"):
        find_data(tmp_path)


@pytest.mark.parametrize("name", ["annotations/instances_train2017.json", "data.yaml"])
def test_an_annotation_file_alone(name: str, tmp_path: Path) -> None:
    case = "coco itself" if name.endswith("json") else "ultralytics"
    fill(tmp_path, **LAYOUTS[case][0])
    found = find_data(tmp_path / name)
    assert [described(source, tmp_path) for source in found.train] == LAYOUTS[case][1]


def test_photos_alone_are_no_data(tmp_path: Path) -> None:
    fill(tmp_path, **{"a.jpg": None, "b.png": None, "notes.docx": "x"})
    with pytest.raises(DataError) as error:
        find_data(tmp_path)
    assert "2 images, 1 .docx" in str(error.value)
    assert "must be annotated first" in str(error.value)


@pytest.mark.parametrize(
    ("content", "program"),
    [
        ({"file": {"1": {"fname": "a.jpg"}}, "attribute": {}, "metadata": {}}, "VIA 3, which exports COCO too"),
        ({"categories": {}, "items": [{"annotations": [{"label_id": 0}]}]}, "Datumaro"),
        ({"objects": [{"classTitle": "x"}]}, "Supervisely"),
        ([{"image": "a.jpg", "annotations": [{"label": "x", "coordinates": {}}]}], "CreateML"),
    ],
)
def test_programs_whose_files_are_not_read_are_named(content: object, program: str, tmp_path: Path) -> None:
    fill(tmp_path, **{"x__a.json": content, "x__a.jpg": None})
    for path in (tmp_path, tmp_path / "x" / "a.json"):
        with pytest.raises(DataError, match=program):
            find_data(path)


def test_columns_that_may_be_corners_or_centres_are_told(tmp_path: Path) -> None:
    fill(tmp_path, **{"a.csv": "image,x,y,width,height,class\na.jpg,1,1,2,2,x\n", "a.jpg": None})
    for path in (tmp_path, tmp_path / "a.csv"):
        with pytest.raises(DataError, match="x, y may be corners or centres; where they are left, top, width"):
            find_data(path)


@pytest.mark.parametrize("name", ["missing", "x" * 5000])
def test_no_such_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data must name a folder, an annotation file or an archive"):
        find_data(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"a": 1}'),
        ("a.json", "[]"),
        ("a.json", ""),
        ("a.xml", "<html/>"),
        ("a.csv", "name,age\n"),
        ("a.csv", "filename,label\na.jpg,cat\n"),
        ("a.yaml", "x: 1"),
        ("a.jsonl", '{"file_name": "a.jpg", "text": "x"}'),
        ("a.txt", "1 2 3"),
    ],
)
def test_other_files_are_of_no_kind(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert kind_of(tmp_path / name) is None
    with pytest.raises(DataError, match="no annotation file of a known format"):
        find_data(tmp_path / name)
