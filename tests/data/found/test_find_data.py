"""What is found below a path: each layout that tools write, and what is said where nothing is found."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from resdet.data.found import find_data
from resdet.data.found.kinds import kind_of
from resdet.errors import ConfigError, DataError

XML = "<annotation><filename>a.jpg</filename><object><name>x</name></object></annotation>"
COCO: dict[str, Any] = {"info": {}, "images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}


def fill(root: Path, **files: object) -> Path:
    """Write files: an image for None, json for dicts and lists, else text; ``__`` in a name is a slash."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            Image.new("RGB", (8, 8)).save(path)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


# files, then (format, root, annotations, split) to train on and to validate on, paths relative to the folder
LAYOUTS: dict[str, tuple[dict[str, object], list[tuple[str, str, str, str]], tuple[str, str, str, str] | None]] = {
    "coco itself": (
        {
            "annotations__instances_train2017.json": COCO,
            "annotations__instances_val2017.json": COCO,
            "annotations__captions_train2017.json": COCO,
            "train2017__a.jpg": None,
            "val2017__a.jpg": None,
        },
        [("coco", "train2017", "annotations/instances_train2017.json", "")],
        ("coco", "val2017", "annotations/instances_val2017.json", ""),
    ),
    "one json and a folder of images": (
        {"labels.json": COCO, "images__a.jpg": None},
        [("coco", "images", "labels.json", "")],
        None,
    ),
    "a json among the images": ({"all.json": COCO, "a.jpg": None}, [("coco", "", "all.json", "")], None),
    "names with their folder": (
        {"all.json": {**COCO, "images": [{"id": 1, "file_name": "images/a.jpg"}]}, "images__a.jpg": None},
        [("coco", "", "all.json", "")],
        None,
    ),
    "roboflow's coco": (
        {
            "train___annotations.coco.json": COCO,
            "train__a.jpg": None,
            "valid___annotations.coco.json": COCO,
            "valid__a.jpg": None,
        },
        [("coco", "train", "train/_annotations.coco.json", "")],
        ("coco", "valid", "valid/_annotations.coco.json", ""),
    ),
    "voc itself": (
        {
            "Annotations__a.xml": XML,
            "JPEGImages__a.jpg": None,
            "ImageSets__Main__train.txt": "a\n",
            "ImageSets__Main__val.txt": "a\n",
            "ImageSets__Main__trainval.txt": "a\n",
        },
        [("voc", "", "", "train")],
        ("voc", "", "", "val"),
    ),
    "voc without image sets": (
        {"Annotations__a.xml": XML, "JPEGImages__a.jpg": None},
        [("voc", "", "", "")],
        None,
    ),
    "labelimg's xml beside images": ({"a.jpg": None, "a.xml": XML}, [("voc", "", "", "")], None),
    "voc in parts": (
        {"train__a.jpg": None, "train__a.xml": XML, "test__a.jpg": None, "test__a.xml": XML},
        [("voc", "train", "", "")],
        ("voc", "test", "", ""),
    ),
    "ultralytics": (
        {
            "data.yaml": "train: images/train\nval: images/val\nnames: [x]\n",
            "images__train__a.jpg": None,
            "images__val__a.jpg": None,
            "labels__train__a.txt": "0 .5 .5 .1 .1\n",
        },
        [("yolo", "", "", "train")],
        ("yolo", "", "", "val"),
    ),
    "a yaml of another name": (
        {"pets.yaml": "path: .\ntrain: images\nnames: {0: x}\n", "images__a.jpg": None},
        [("yolo", "", "pets.yaml", "train")],
        None,
    ),
    "yolo without a yaml": (
        {"classes.txt": "x\n", "images__a.jpg": None, "labels__a.txt": "0 .5 .5 .1 .1\n"},
        [("yolo", "", "", "")],
        None,
    ),
    "yolo in parts without a yaml": (
        {"images__train__a.jpg": None, "labels__train__a.txt": "0 .5 .5 .1 .1\n", "images__val__a.jpg": None},
        [("yolo", "", "", "train")],
        ("yolo", "", "", "val"),
    ),
    "label studio": (
        {"export.json": [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}], "images__a.jpg": None},
        [("label_studio", "images", "export.json", "")],
        None,
    ),
    "cvat": (
        {"annotations.xml": "<?xml version='1.0'?><annotations><image/></annotations>", "images__a.jpg": None},
        [("cvat", "images", "annotations.xml", "")],
        None,
    ),
    "labelme": (
        {"a.jpg": None, "a.json": {"shapes": [], "imagePath": "a.jpg"}},
        [("labelme", "", "", "")],
        None,
    ),
    "via": (
        {"via.json": {"_via_settings": {}, "_via_img_metadata": {}}, "a.jpg": None},
        [("via", "", "via.json", "")],
        None,
    ),
    "pascal csv": (
        {"labels.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\n", "a.jpg": None},
        [("csv", "", "labels.csv", "")],
        None,
    ),
    "open images": (
        {"train.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n", "images__train__a.jpg": None},
        [("csv", "images/train", "train.csv", "")],
        None,
    ),
    "hugging face": (
        {
            "train__metadata.jsonl": '{"file_name": "a.jpg", "objects": {"bbox": [], "categories": []}}\n',
            "train__a.jpg": None,
            "validation__metadata.jsonl": '{"file_name": "a.jpg", "objects": {"bbox": [], "categories": []}}\n',
            "validation__a.jpg": None,
        },
        [("hf_objects", "train", "train/metadata.jsonl", "")],
        ("hf_objects", "validation", "validation/metadata.jsonl", ""),
    ),
}


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


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as zipped:
        zipped.writestr("../../out.txt", "x")
    for _ in range(2):  # what the first try left must not be taken for the data
        with pytest.raises(DataError, match=r"\.\."):
            find_data(tmp_path / "bad.zip")
    assert not (tmp_path / "out.txt").exists()


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
