import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from resdet.data.dataset import classes_of_images, usable_indices
from resdet.data.formats.coco import read_coco
from resdet.errors import DataError


@pytest.mark.parametrize(("split", "images", "objects"), [("train", 80, 739), ("val", 79, 624)])
def test_the_official_files_against_pycocotools(shared_data: Path, split: str, images: int, objects: int) -> None:
    root = shared_data / "coco_mini"
    annotations = root / "annotations" / f"instances_{split}2017.json"
    dataset = read_coco(root / f"{split}2017", annotations)
    oracle = COCO(str(annotations))
    assert (len(dataset), len(dataset.labels), len(dataset.names)) == (images, objects, 80)
    assert dataset.names[:2] == ("person", "bicycle")
    assert dataset.category_ids[-1] == 90
    for index, image_id in enumerate(dataset.image_ids):
        rows = oracle.loadAnns(oracle.getAnnIds([image_id]))
        target = dataset.target(index)
        boxes = np.array([row["bbox"] for row in rows])
        height, width = dataset.size(index)
        expected = np.clip(np.c_[boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 0, [width, height, width, height])
        assert np.allclose(target.boxes.numpy(), expected, atol=1e-4)
        assert [dataset.category_ids[label] for label in target.labels.tolist()] == [row["category_id"] for row in rows]
        assert target.ignore.tolist() == [bool(row["iscrowd"]) for row in rows]
        assert dataset.path(index).name == oracle.loadImgs([image_id])[0]["file_name"]
    image, target = dataset.load(0)
    assert (image.height, image.width) == target.size
    assert len(usable_indices(dataset)) == images


def test_ground_truth_is_the_file(shared_data: Path) -> None:
    root = shared_data / "coco_mini"
    path = root / "annotations" / "instances_val2017.json"
    truth = read_coco(root / "val2017", path).ground_truth()
    official = json.loads(path.read_text())
    key = lambda row: row["id"]  # noqa: E731
    kept = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    expected = [{name: row[name] for name in kept} for row in sorted(official["annotations"], key=key)]
    assert sorted(truth["annotations"], key=key) == expected
    assert truth["categories"] == [{"id": row["id"], "name": row["name"]} for row in official["categories"]]
    assert [row["id"] for row in truth["images"]] == [row["id"] for row in official["images"]]
    json.dumps(truth)


CONTENT = {
    "images": [
        {"id": 3, "file_name": "a.png", "width": 20, "height": 10},
        {"id": 1, "file_name": "sub/b.png", "width": 8, "height": 16},
    ],
    "annotations": [
        {"id": 5, "image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]},
        {"id": 7, "image_id": 3, "category_id": 4, "bbox": [0.5, 0, 19.5, 10], "area": 17.25, "iscrowd": 1},
        {"id": 2, "image_id": 1, "category_id": 4, "bbox": [0, 0, 8, 16], "iscrowd": 0},
    ],
    "categories": [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}],
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "images" / "sub").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "a.png")
    Image.new("RGB", (8, 16)).save(tmp_path / "images" / "sub" / "b.png")
    return tmp_path


def read(files: Path, content: object, names: list[str] | None = None):
    path = files / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco(files / "images", path, names)


def changed(section: str, row: int, **values: object) -> dict:
    content = copy.deepcopy(CONTENT)
    content[section][row].update(values)
    return content


def without(section: str, row: int, key: str) -> dict:
    content = copy.deepcopy(CONTENT)
    del content[section][row][key]
    return content


def test_a_small_file(files: Path) -> None:
    dataset = read(files, CONTENT)
    assert dataset.names == ("cat", "dog")
    assert dataset.category_ids == (4, 9)
    first, second = dataset.target(0), dataset.target(1)
    assert (first.image_id, first.size, first.labels.tolist(), first.ignore.tolist()) == (3, (10, 20), [0], [True])
    assert second.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 8, 16]]
    assert second.labels.tolist() == [1, 0]
    assert second.path == str(files / "images" / "sub" / "b.png")
    assert usable_indices(dataset) == [1]
    truth = dataset.ground_truth()["annotations"]
    assert [(row["id"], row["area"], row["iscrowd"]) for row in truth] == [(7, 17.25, 1), (5, 12.0, 0), (2, 128.0, 0)]


def test_categories_are_mapped_by_name(files: Path) -> None:
    dataset = read(files, CONTENT, ["bird", "dog", "cat"])
    assert dataset.target(1).labels.tolist() == [1, 2]
    assert dataset.category_ids == (10, 9, 4)  # the file has no bird: a fresh id
    assert [row["category_id"] for row in dataset.ground_truth()["annotations"]] == [4, 9, 4]


def test_unknown_classes_come_with_a_difference(files: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(files, CONTENT, ["cat", "doge", "cow"])
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "class 'dog' is not among the classes asked for (did you mean 'doge'?)",
        "only in the file: dog; only asked for: doge, cow",
    ]


def test_a_category_above_all_others_whose_objects_name_it_by_text_stays(files: Path) -> None:
    content = changed("categories", 1, supercategory="dog")
    for row in content["annotations"]:
        row["category_id"] = "9"
    with pytest.warns(UserWarning, match="'category_id' as text"):
        assert read(files, content).names == ("cat", "dog")


def test_sizes_below_0_are_one_problem(files: Path) -> None:
    rows = [{"id": number, "image_id": 3, "category_id": 9, "bbox": [9, 8, -number, -4]} for number in range(1, 5)]
    with pytest.raises(DataError) as caught:
        read(files, {**CONTENT, "annotations": rows})
    (problem,) = caught.value.problems
    assert "when read as any corner, and the way to the opposite one: write them as x, y, width, height" in problem


def test_an_image_without_objects(files: Path) -> None:
    dataset = read(files, {**CONTENT, "annotations": []})
    assert dataset.target(0).boxes.shape == (0, 4)
    assert usable_indices(dataset) == []
    assert dataset.ground_truth()["annotations"] == []


def test_the_mark_difficult_of_a_converted_file(files: Path) -> None:
    content = changed("annotations", 0, difficult=1)
    ignoring = read(files, content)
    keeping = read_coco(files / "images", files / "instances.json", keep_difficult=True)
    assert (ignoring.target(1).ignore.tolist(), keeping.target(1).ignore.tolist()) == ([True, False], [False, False])
    assert [row.get("difficult", 0) for row in keeping.ground_truth()["annotations"]] == [0, 1, 0]
    with pytest.raises(DataError, match="'difficult' must be 0 or 1, got 'yes'"):
        read(files, changed("annotations", 0, difficult="yes"))


def test_annotation_ids_from_0_are_moved(files: Path) -> None:
    content = changed("annotations", 0, id=0)
    assert sorted(row["id"] for row in read(files, content).ground_truth()["annotations"]) == [1, 3, 8]


def test_an_image_with_nothing_but_an_empty_box_is_not_usable(files: Path) -> None:
    content = {**CONTENT, "annotations": [{"id": 1, "image_id": 3, "category_id": 4, "bbox": [3, 3, 0, 5]}]}
    with pytest.warns(UserWarning, match="without area"):
        dataset = read(files, content)
    assert usable_indices(dataset) == []
    assert classes_of_images(dataset) == [set(), set()]


def test_boxes_partly_outside_are_clipped_with_a_counted_warning(files: Path) -> None:
    content = changed("annotations", 0, bbox=[-1, -2, 4, 30])
    content["annotations"][1]["bbox"] = [10, 0, 10.5, 5]
    with pytest.warns(UserWarning, match=r"2 boxes reach out of their images and were clipped, by 12 pixels at most: .*id 5"):
        dataset = read(files, content)
    assert dataset.target(1).boxes[0].tolist() == [0, 0, 3, 16]
    assert dataset.ground_truth()["annotations"][1]["bbox"] == [-1, -2, 4, 30]


@pytest.mark.parametrize("box", [[3, 3, 0, 5], [3, 3, 5, 0], [7.999, 3, 5, 5], [-4.995, 3, 5, 5]])
def test_boxes_without_area_are_left_out_of_training_with_a_counted_warning(files: Path, box: list[float]) -> None:
    with pytest.warns(UserWarning, match="1 boxes without area are left out of training, the first: .*annotation id 5"):
        dataset = read(files, changed("annotations", 0, bbox=box))
    assert len(dataset.target(1)) == 1
    assert usable_indices(dataset) == [1]
    assert [row["bbox"] for row in dataset.ground_truth()["annotations"]] == [[0.5, 0, 19.5, 10], box, [0, 0, 8, 16]]


DEFECTS = [
    ("{", "is not JSON"),
    ("[" * 100000, "is not JSON"),
    ("[]", "must be an object with images, annotations, categories, got list"),
    ({"images": [], "annotations": {}}, "key 'annotations' must be a list, got {}"),
    ({"images": [], "annotations": []}, "key 'categories' must be a list, got none (the key is missing)"),
    ({"images": [], "annotations": [], "categories": []}, "holds no image"),
    ({**CONTENT, "images": [3]}, "image at position 0: must be an object, got 3"),
    (without("images", 0, "id"), "image at position 0: 'id' must be an integer, got none (the key is missing)"),
    (without("images", 0, "file_name"), "image id 3: 'file_name' must be a non-empty string, got none"),
    (changed("images", 0, width=0), "image id 3: 'width' must be a positive integer, got 0"),
    (changed("images", 0, height="tall"), "image id 3: 'height' must be a positive integer, got 'tall'"),
    (changed("images", 0, height=10.5), "image id 3: 'height' must be a positive integer, got 10.5"),
    (changed("images", 0, id=1), "image id 1: id 1 is used twice"),
    (changed("images", 0, id=True), "'id' must be an integer, got True"),
    (changed("images", 0, id=2**80), "'id' must be an integer, got 1208925819614629174706176"),
    (
        changed("images", 0, file_name="/etc/passwd"),
        "file name must be relative and stay in the images' folder, got '/etc/passwd'",
    ),
    (changed("images", 0, file_name="sub/../../x.png"), "must be relative and stay in the images' folder"),
    (changed("images", 0, file_name="..\\x.png"), "must be relative and stay in the images' folder"),
    (changed("images", 0, file_name="C:\\x.png"), "must be relative and stay in the images' folder"),
    (changed("images", 0, file_name="a\0.png"), "must be relative and stay in the images' folder"),
    (changed("images", 0, file_name="gone.png"), "image id 3: no such image file: "),
    (changed("images", 0, file_name="x" * 5000), "image id 3: no such image file: "),
    (changed("categories", 0, id="dog"), "category id 'dog': 'id' must be an integer, got 'dog'"),
    (changed("categories", 0, name=""), "category id 9: 'name' must be a non-empty string of whole characters, got ''"),
    (changed("categories", 0, id=4), "category id 4: id 4 is used twice"),
    (changed("categories", 0, name="cat"), "category id 4: name 'cat' is used twice"),
    (changed("annotations", 0, id=7), "annotation id 7: id 7 is used twice"),
    (changed("annotations", 0, id=[5]), "annotation id [5]: 'id' must be an integer, got [5]"),
    (without("annotations", 0, "bbox"), "annotation id 5: 'bbox' must be a list of 4 numbers, got none"),
    (changed("annotations", 0, bbox=[1, 2, 3]), "'bbox' must be a list of 4 numbers, got [1, 2, 3]"),
    (changed("annotations", 0, bbox=[1, 2, "3 px", 4]), "'bbox' must be a list of 4 numbers"),
    (changed("annotations", 0, bbox=[1, 2, 3, 10**400]), "'bbox' must be a list of 4 numbers"),
    (changed("annotations", 0, bbox=[1, math.nan, 3, 4]), "annotation id 5: box must be finite, got [1, nan, 3, 4]"),
    (changed("annotations", 0, bbox=[1, 2, math.inf, 4]), "annotation id 5: box must be finite, got [1, 2, inf, 4]"),
    (changed("annotations", 0, bbox=[1, 2, -3, 4]), "box must have a positive width and height, got [1, 2, -3, 4]"),
    (changed("annotations", 0, bbox=[8, 2, 3, 4]), "box lies wholly outside its image of 8 x 16 pixels, got [8, 2, 3, 4]"),
    (changed("annotations", 0, bbox=[1, -9, 3, 9]), "box lies wholly outside its image of 8 x 16 pixels"),
    (changed("annotations", 0, image_id=99), "annotation id 5: image_id 99 is not among the file's images"),
    (changed("annotations", 0, category_id=1), "annotation id 5: category_id 1 is not among the file's categories"),
    (changed("annotations", 0, iscrowd=2), "'iscrowd' must be 0 or 1, got 2"),
    (changed("annotations", 0, area=-1), "'area' must be a finite number >= 0, got -1"),
    (changed("annotations", 0, area=math.nan), "'area' must be a finite number >= 0, got nan"),
]


@pytest.mark.parametrize(("content", "message"), DEFECTS, ids=[message[:50] for _, message in DEFECTS])
def test_every_defect_is_told(files: Path, content: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(files, content)
    assert caught.value.problems[0].startswith(f"{files / 'instances.json'}: ")
    assert message in caught.value.problems[0]


def test_all_defects_at_once(files: Path) -> None:
    content = changed("images", 0, width=-5)
    content["annotations"][0].update(bbox=[0, 0, -1, 1])
    content["annotations"][1].update(category_id=77)
    content["annotations"][2].update(image_id=78)
    with pytest.raises(DataError) as caught:
        read(files, content, ["cat"])
    assert len(caught.value.problems) == 6


def test_a_wrong_image_folder_is_one_problem(files: Path) -> None:
    (files / "instances.json").write_text(json.dumps(CONTENT))
    with pytest.raises(DataError, match="none of its 2 image files exists") as caught:
        read_coco(files / "elsewhere", files / "instances.json")
    assert len(caught.value.problems) == 1


def test_a_missing_annotation_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_coco(tmp_path, tmp_path / "none.json")


def test_loading_checks_the_size(files: Path) -> None:
    with pytest.warns(UserWarning, match="clipped"):
        dataset = read(files, changed("images", 0, width=10, height=20))
    with pytest.raises(DataError, match=r"a\.png: is 20 x 10 pixels, its annotation says 10 x 20 \(.*EXIF"):
        dataset.load(0)
    with pytest.raises(DataError, match=r"a\.png: is 20 x 10 pixels, its annotation says 21 x 10$"):
        read(files, changed("images", 0, width=21)).load(0)


def test_targets_do_not_share_memory_with_the_data_set(files: Path) -> None:
    dataset = read(files, CONTENT)
    dataset.target(1).boxes.zero_()
    dataset.target(1).labels.fill_(5)
    dataset.target(1).ignore.fill_(True)
    assert dataset.target(1).labels.tolist() == [1, 0]
    assert not dataset.target(1).ignore.any()
    assert torch.equal(dataset.target(1).boxes[1], torch.tensor([0.0, 0, 8, 16]))


def test_a_test_set_without_annotations_is_read_with_a_warning(files: Path) -> None:
    content = {key: value for key, value in CONTENT.items() if key != "annotations"}
    with pytest.warns(UserWarning, match=r"has no annotations: its images can be detected on"):
        dataset = read(files, content)
    assert len(dataset) == len(CONTENT["images"])
    assert not len(dataset.labels)
    assert dataset.ground_truth()["images"] == read(files, CONTENT).ground_truth()["images"]
