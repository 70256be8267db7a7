"""The marks of training images: equal for equal data, and the difference in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resdet.data import marks
from resdet.data.dataset import subset
from resdet.data.formats.cifar import CifarDataset
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.formats.shards import ShardDataset
from resdet.data.localization import dominant_objects
from resdet.data.marks import changes, image_marks
from resdet.data.own import own_classification_dataset


def told(before: Any, now: Any) -> list[str]:
    return changes(image_marks(before), image_marks(now), lambda index: Path(now.path(index)).name)


@pytest.fixture
def dataset(tiny_coco: Any) -> Any:
    return read_coco(tiny_coco.images, tiny_coco.annotations)


def moved(content: dict) -> None:
    content["annotations"][2]["bbox"][0] += 0.5


def other_class(content: dict) -> None:
    content["annotations"][2]["category_id"] = 7


def crowded(content: dict) -> None:
    content["annotations"][2]["iscrowd"] = 1


def without_one(content: dict) -> None:
    del content["annotations"][2]


@pytest.mark.parametrize("change", [moved, other_class, crowded, without_one])
def test_another_annotation_is_told_with_its_image(dataset: Any, tiny_coco: Any, change: Callable[[dict], None]) -> None:
    content = tiny_coco.read()
    change(content)
    tiny_coco.write(content)
    now = read_coco(tiny_coco.images, tiny_coco.annotations)
    assert told(dataset, now) == ["1 of 6 images have other sizes, objects or classes, the first is 000002.png"]
    assert told(dataset, dataset) == []


def test_another_order_and_other_files_are_told(dataset: Any) -> None:
    assert told(dataset, subset(dataset, [0, 1, 3, 2, 4, 5])) == ["the 6 images come in another order, from 000004.png on"]
    files = dataset.files.copy()
    files[1] = files[1].replace(b"000002", b"200000")
    files[5] = files[5].replace(b"000006", b"600000")
    assert told(dataset, replace(dataset, files=files)) == ["2 of 6 images have other files, the first is 200000.png"]


def test_images_that_were_moved_with_their_folder_have_the_same_marks(dataset: Any) -> None:
    elsewhere = np.array([b"/other/place/" + Path(file.decode()).name.encode() for file in dataset.files.tolist()])
    assert told(dataset, replace(dataset, files=elsewhere)) == []


def test_another_number_of_images_is_the_caller_s_to_tell(dataset: Any) -> None:
    assert told(dataset, subset(dataset, [0, 1])) == []


def test_localized_images(dataset: Any) -> None:
    images = dominant_objects(dataset)
    assert told(images, replace(images, rows=images.rows + 1)) == [
        "5 of 5 images have other sizes, objects or classes, the first is 000001.png"
    ]
    assert len(told(images, replace(images, labels=1 - images.labels))) == 1


def test_classified_files_in_folders(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    before = read_folder(tmp_path)
    (tmp_path / "b/2.png").rename(tmp_path / "b/3.png")
    now = read_folder(tmp_path)
    assert told(before, now) == ["1 of 2 images have other files, the first is 3.png"]
    assert told(now, replace(now, labels=now.labels[::-1].copy())) == [
        "2 of 2 images have other sizes, objects or classes, the first is 1.png"
    ]


OTHER_CONTENT = "images have other content in their files, the first is"


def class_folders(root: Path, contents: Sequence[bytes]) -> Any:
    """A set of files that are no images: nothing decodes them."""
    for number, content in enumerate(contents):
        path = root / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
    return read_folder(root)


def test_two_images_of_a_class_folder_that_changed_places_were_not_noticed(tmp_path: Path) -> None:
    before = image_marks(class_folders(tmp_path, [b"one", b"two", b"six", b"ten"]))
    now = class_folders(tmp_path, [b"one", b"ten", b"six", b"two"])
    assert changes(before, image_marks(now), now.path) == [f"2 of 4 {OTHER_CONTENT} {tmp_path / 'b' / '1.png'}"]
    assert changes(before[:, :2], image_marks(now), now.path) == [], "the marks of earlier releases know of no content"


def test_of_files_that_are_not_read_the_size_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_READ", 0)
    before = image_marks(class_folders(tmp_path, [b"one", b"two"]))
    assert changes(before, image_marks(class_folders(tmp_path, [b"six", b"two"])), str) == []
    assert changes(before, image_marks(class_folders(tmp_path, [b"one", b"three"])), str) == [f"1 of 2 {OTHER_CONTENT} 1"]


def test_what_there_was_no_time_to_look_at_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = class_folders(tmp_path, [b"one", b"two"])
    whole = image_marks(dataset)
    monkeypatch.setattr(marks, "_LOOK_S", -1.0)
    assert image_marks(dataset)[:, 2].tolist() == [0, 0]
    for before, now in ((whole, image_marks(dataset)), (image_marks(dataset), whole)):
        assert changes(before, now, str) == []


def test_images_without_files() -> None:
    pixels = np.zeros((3, 3, 32, 32), np.uint8)
    cifar = CifarDataset(("a", "b"), pixels, np.array([0, 1, 0]), Path("root"))
    spoiled = replace(cifar, pixels=pixels.copy())
    spoiled.pixels[2, 0, 0, 0] = 1
    assert told(cifar, spoiled) == ["1 of 3 images have other sizes, objects or classes, the first is root#2"]
    shards = ShardDataset(
        ("a", "b"),
        (b"/x/t-0.tar",),
        np.zeros(2, np.int32),
        np.array([512, 2048]),
        np.array([3, 4]),
        np.array([0, 1], np.int32),
        np.array([b"a/1.jpg", b"b/2.jpg"]),
    )
    assert told(shards, replace(shards, files=(b"/y/t-0.tar",))) == []
    assert len(told(shards, replace(shards, sources=np.array([b"a/1.jpg", b"b/3.jpg"])))) == 1
    picture = Image.new("RGB", (4, 4))
    own = [own_classification_dataset([(picture, label) for label in labels], "ab") for labels in ((0, 1), (1, 1))]
    assert len(told(*own)) == 1
    assert told(own[0], own[0]) == []


def test_marks_are_small_plain_numbers(dataset: Any) -> None:
    marks = image_marks(dataset)
    assert (marks.dtype, marks.shape) == (np.int32, (6, 3))
    assert json.dumps(marks.tolist())
    assert image_marks(subset(dataset, [])).shape == (0, 3)
