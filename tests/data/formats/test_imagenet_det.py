"""ILSVRC DET: coordinates against the published boxes of real images, and the rules of its lists."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import usable_indices
from resdet.data.formats.imagenet_det import read_imagenet_det
from resdet.data.sources.detection import build_dataset
from resdet.errors import DataError

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><xmax>{}</xmax><ymin>{}</ymin><ymax>{}</ymax></bndbox></object>"


def an_xml(root: Path, place: str, *objects: tuple, size: tuple[int, int] = (20, 10)) -> None:
    path = root / "Annotations" / "DET" / f"{place}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    path.write_text(f"<annotation>{sides}{''.join(OBJECT.format(*item) for item in objects)}</annotation>")


def an_image(root: Path, place: str, size: tuple[int, int] = (20, 10)) -> None:
    path = root / "Data" / "DET" / f"{place}.JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def a_list(root: Path, split: str, text: str) -> None:
    (root / "ImageSets" / "DET").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "DET" / f"{split}.txt").write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A positive and a negative training image, and two validation images, one without objects."""
    positive, negative = "train/ILSVRC2013_train/n02/n02_7", "train/ILSVRC2013_train_extra0/x_1"
    for place in (positive, negative, "val/v_1", "val/v_2"):
        an_image(tmp_path, place)
    an_xml(tmp_path, positive, ("n02", 0, 19, 0, 9), ("n01", 3, 3, 4, 6))
    an_xml(tmp_path, "val/v_1", ("n02", 1, 2, 3, 4))
    an_xml(tmp_path, "val/v_2")
    a_list(tmp_path, "train_1", "ILSVRC2013_train/n02/n02_7 1\nILSVRC2013_train_extra0/x_1 -1\n")
    a_list(tmp_path, "val", "v_1 1\nv_2 2\n")
    a_list(tmp_path, "mine", "ILSVRC2013_train/n02/n02_7\nv_2\nval/v_1\n")
    return tmp_path


def test_pixels_count_from_0_and_include_the_last(root: Path) -> None:
    dataset = read_imagenet_det(root, "train_1")
    assert dataset.names == ("n01", "n02")
    assert dataset.target(0).boxes.tolist() == [[0, 0, 20, 10], [3, 4, 4, 7]]
    assert dataset.target(0).labels.tolist() == [1, 0]


def test_real_boxes_lie_in_their_images_by_this_reading(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "imagenet_val100"
    files = {path.stem: path for path in folder.rglob("*.JPEG")}
    rows = [row for row in csv.DictReader((folder / "LOC_val_solution.csv").open()) if row["ImageId"] in files]
    (tmp_path / "Data" / "DET").mkdir(parents=True)
    (tmp_path / "Data" / "DET" / "val").symlink_to(files[rows[0]["ImageId"]].parent)
    edges = {"left": 0, "right": 0}
    for row in rows:
        fields = row["PredictionString"].split()
        boxes = [tuple(map(int, fields[at + 1 : at + 5])) for at in range(0, len(fields), 5)]
        with Image.open(files[row["ImageId"]]) as image:
            size = image.size
        an_xml(tmp_path, f"val/{row['ImageId']}", *((fields[0], x1, x2, y1, y2) for x1, y1, x2, y2 in boxes), size=size)
        edges["left"] += sum(box[0] == 0 for box in boxes)
        edges["right"] += sum(box[2] == size[0] - 1 for box in boxes)
    a_list(tmp_path, "val", "".join(f"{row['ImageId']} {number}\n" for number, row in enumerate(rows, 1)))
    dataset = read_imagenet_det(tmp_path, "val")  # a box outside would warn or raise, by 1-based reading 22 would
    assert len(dataset) == 100
    for index in range(100):
        width = dataset.size(index)[1]
        boxes = dataset.target(index).boxes
        edges["left"] -= int((boxes[:, 0] == 0).sum())
        edges["right"] -= int((boxes[:, 2] == width).sum())
    assert edges == {"left": 0, "right": 0}  # those that touch an edge of the image touch it here


def test_an_image_of_train_without_xml_has_no_objects(root: Path) -> None:
    dataset = read_imagenet_det(root, "train_1")
    assert (len(dataset), usable_indices(dataset), dataset.size(1)) == (2, [0], (10, 20))
    assert len(dataset.target(1)) == 0
    (root / "Annotations" / "DET" / "val" / "v_2.xml").unlink()
    with pytest.raises(DataError, match=r"v_2\.xml: cannot be read: No such file"):
        read_imagenet_det(root, "val")


def test_a_set_of_train_and_val_images(root: Path) -> None:
    dataset = read_imagenet_det(root, "mine", ["n03", "n02", "n01"])
    assert [dataset.path(index).name for index in range(3)] == ["n02_7.JPEG", "v_2.JPEG", "v_1.JPEG"]
    assert dataset.image_ids == [1, 2, 3]
    source = DetectionSourceConfig("imagenet_det", str(root), split="mine")
    assert [build_dataset([source]).path(index) for index in range(3)] == [dataset.path(index) for index in range(3)]
    assert dataset.target(2).labels.tolist() == [1]


def test_problems_come_together(root: Path) -> None:
    a_list(root, "bad", "v_1 1\nv_1 2\n../v_1 3\ngone 4\nILSVRC2013_train_extra0/x_1\n")
    (root / "Data/DET/train/ILSVRC2013_train_extra0/x_1.JPEG").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_imagenet_det(root, "bad", ["n01"])
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 7
    for message in (
        "bad.txt: image 'v_1' is listed twice",
        "must be relative and stay in the images' folder, got '../v_1'",
        f"image 'gone' is not below {root}/Data/DET",
        "x_1.JPEG: cannot be read as an image: the file is empty",
        "class 'n02' is not among the classes asked for (did you mean 'n01'?)",
        "v_1.xml: uses class 'n02'",
    ):
        assert message in problems
