"""VOC's and YOLO's files in folders of any layout: without a split, everything below the root is read."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from PIL import Image

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.voc import image_names
from resdet.data.sources.detection import build_dataset
from resdet.errors import DataError


def xml(filename: str = "x.jpg", size: tuple[int, int] = (20, 10), name: str = "cat") -> str:
    corners = "<xmin>3</xmin><ymin>2</ymin><xmax>8</xmax><ymax>5</ymax>"
    return (
        f"<annotation><filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"<object><name>{name}</name><bndbox>{corners}</bndbox></object></annotation>"
    )


def write(root: Path, files: dict[str, str]) -> None:
    """Files by their paths; those with the suffix of an image are images of 20 x 10 pixels, whatever the text."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            Image.new("RGB", (20, 10)).save(path)
        else:
            path.write_text(text)


def read(form: str, root: Path) -> tuple[DetectionDataset, list[str]]:
    """The data set and the warnings, without their places."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = build_dataset([DetectionSourceConfig(form, str(root))])
    return dataset, [str(each.message).split(": ", 1)[1] for each in caught]


VOC = {
    "beside": (["a.xml", "b.xml", "a.jpg", "b.png"], ["a.jpg", "b.png"]),
    "folders": (["Annotations/a.xml", "JPEGImages/a.jpg"], ["JPEGImages/a.jpg"]),
    "other names": (["annots/a.xml", "images/a.JPG"], ["images/a.JPG"]),
    "sub-folders": (
        ["Annotations/one/a.xml", "Annotations/two/a.xml", "JPEGImages/one/a.jpg", "JPEGImages/two/a.jpg"],
        ["JPEGImages/one/a.jpg", "JPEGImages/two/a.jpg"],
    ),
    "splits as folders": (
        ["train/a.xml", "train/a.jpg", "valid/a.xml", "valid/a.jpg"],
        ["train/a.jpg", "valid/a.jpg"],
    ),
    "folders in splits": (
        ["train/Annotations/a.xml", "train/JPEGImages/a.jpg", "valid/Annotations/a.xml", "valid/JPEGImages/a.jpg"],
        ["train/JPEGImages/a.jpg", "valid/JPEGImages/a.jpg"],
    ),
    "what macOS adds": (["a.xml", "a.jpg", "__MACOSX/._a.xml", "._a.jpg", ".git/x.xml"], ["a.jpg"]),
    "letters": (["Annotations/A.xml", "JPEGImages/a.jpg"], ["JPEGImages/a.jpg"]),
}


@pytest.mark.parametrize("layout", VOC)
def test_every_xml_is_read_with_the_nearest_image(layout: str, tmp_path: Path) -> None:
    names, expected = VOC[layout]
    write(tmp_path, {name: xml() for name in names})
    dataset, told = read("voc", tmp_path)
    assert [dataset.path(index).relative_to(tmp_path).as_posix() for index in range(len(dataset))] == expected
    assert dataset.target(0).boxes.tolist() == [[2, 1, 8, 5]]
    assert len(dataset.labels) == len(expected)
    assert told == []


def test_names_in_results_files_tell_images_apart(tmp_path: Path) -> None:
    write(tmp_path, {name: xml() for name in ("train/a.xml", "train/a.jpg", "valid/a.xml", "valid/a.jpg")})
    assert image_names(read("voc", tmp_path)[0]) == {1: "train/a", 2: "valid/a"}
    write(tmp_path, {"valid/a.xml": "<project/>"})
    assert image_names(read("voc", tmp_path)[0]) == {1: "a"}


def test_what_is_left_out_of_a_folder_of_xml_files_is_counted(tmp_path: Path) -> None:
    write(tmp_path, {"a.xml": xml(), "a.jpg": "", "b.jpg": "", "c.jpg": "", "other.xml": "<project/>"})
    _, told = read("voc", tmp_path)
    assert told == [
        f"1 xml files are left out, for they are not of VOC's kind, the first: {tmp_path}/other.xml",
        "2 images without an xml file are left out, the first: b.jpg",
    ]


def test_two_images_of_one_name_are_told_apart_by_the_xml(tmp_path: Path) -> None:
    write(tmp_path, {"a.xml": xml("old.png"), "a.jpg": "", "a.png": ""})
    assert read("voc", tmp_path)[0].path(0).name == "a.png"
    write(tmp_path, {"a.xml": xml("old.bmp")})
    with pytest.raises(DataError, match=r"a\.xml: its image may be a\.jpg or a\.png"):
        read("voc", tmp_path)


def test_folders_without_voc_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no xml file of VOC's kind"):
        read("voc", tmp_path)
    write(tmp_path, {"a.xml": xml()})
    with pytest.raises(DataError, match=rf"a\.xml: no image of this name lies below {tmp_path}"):
        read("voc", tmp_path)


LINE = "1 .5 .5 .2 .4\n"
YAML = "names: [cat, dog]\n"
YOLO = {
    "images and labels": (["images/a.jpg", "labels/a.txt", "images/b.jpg"], ["images/a.jpg", "images/b.jpg"]),
    "by split": (
        ["images/train/a.jpg", "labels/train/a.txt", "images/val/b.jpg", "labels/val/b.txt"],
        ["images/train/a.jpg", "images/val/b.jpg"],
    ),
    "split before": (
        ["train/images/a.jpg", "train/labels/a.txt", "valid/images/b.jpg", "valid/labels/b.txt"],
        ["train/images/a.jpg", "valid/images/b.jpg"],
    ),
    "beside": (
        ["obj_train_data/a.jpg", "obj_train_data/a.txt", "obj_train_data/b.jpg"],
        ["obj_train_data/a.jpg", "obj_train_data/b.jpg"],
    ),
    "root": (["a.jpg", "a.txt", "b.jpg", "b.txt"], ["a.jpg", "b.jpg"]),
}


@pytest.mark.parametrize("layout", YOLO)
def test_every_labelled_image_is_read(layout: str, tmp_path: Path) -> None:
    names, expected = YOLO[layout]
    write(tmp_path, {**dict.fromkeys(names, LINE), "data.yaml": YAML})
    dataset, told = read("yolo", tmp_path)
    assert [dataset.path(index).relative_to(tmp_path).as_posix() for index in range(len(dataset))] == expected
    assert dataset.names == ("cat", "dog")
    assert dataset.target(0).boxes.tolist() == [[8, 3, 12, 7]]
    assert dataset.target(0).labels.tolist() == [1]
    assert told == []


NAMES = {
    "data.yaml": (YAML, ("cat", "dog")),
    "data.yml": (YAML, ("cat", "dog")),
    "classes.txt": ("cat\nbig dog\n", ("cat", "big dog")),
    "labels/classes.txt": ("cat\nbig dog\n", ("cat", "big dog")),
    "obj.names": ("cat\ndog\n", ("cat", "dog")),
}


@pytest.mark.parametrize("file", NAMES)
def test_where_the_class_names_are(file: str, tmp_path: Path) -> None:
    text, expected = NAMES[file]
    write(tmp_path, {"images/a.jpg": "", "labels/a.txt": LINE, file: text})
    dataset, told = read("yolo", tmp_path)
    assert (dataset.names, dataset.labels.tolist(), told) == (expected, [1], [])


def test_darknet_says_it_in_obj_data(tmp_path: Path) -> None:
    write(tmp_path, {"data/a.jpg": "", "data/a.txt": LINE, "obj.names": "cat\ndog\n"})
    write(tmp_path, {"obj.data": "classes = 2\nnames = data/obj.names\n"})
    assert read("yolo", tmp_path)[0].names == ("cat", "dog")


def test_classes_without_names_are_numbers(tmp_path: Path) -> None:
    write(tmp_path, {"images/a.jpg": "", "labels/a.txt": LINE})
    dataset, told = read("yolo", tmp_path)
    assert (dataset.names, dataset.labels.tolist()) == (("0", "1"), [1])
    assert told == [f"1 classes are called by their numbers: no data.yaml or classes.txt names them, the first: {tmp_path}"]
    named = build_dataset([DetectionSourceConfig("yolo", str(tmp_path))], ["cat", "dog", "cow"])
    assert (named.names, named.labels.tolist()) == (("cat", "dog", "cow"), [1])


def test_images_of_other_folders_are_counted(tmp_path: Path) -> None:
    write(tmp_path, {"images/a.jpg": "", "labels/a.txt": LINE, "data.yaml": YAML, "runs/plot.png": ""})
    dataset, told = read("yolo", tmp_path)
    assert len(dataset) == 1
    assert told == ["1 images are left out, for no image of their folder has a label file, the first: runs/plot.png"]
    (tmp_path / "labels" / "a.txt").unlink()
    with pytest.raises(DataError, match="holds no image with a label file"):
        read("yolo", tmp_path)


def test_two_label_files_of_one_image_are_a_problem(tmp_path: Path) -> None:
    write(tmp_path, {"photos/a.jpg": "", "one/a.txt": LINE, "two/a.txt": LINE})
    with pytest.raises(DataError, match=r"photos/a\.jpg: has two label files, one/a\.txt and two/a\.txt"):
        read("yolo", tmp_path)
