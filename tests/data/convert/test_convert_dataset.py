"""Conversions of a data set: what a format cannot hold is told, images are linked or copied, refusals leave nothing."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sets_to_convert import NAMES, a_source, read

from resdet.data.convert import write
from resdet.data.convert.write import convert_dataset
from resdet.data.dataset import DetectionDataset
from resdet.errors import ConfigError, DataError


@pytest.fixture
def source(tmp_path: Path) -> DetectionDataset:
    """A crowd, an area of a mask, a box partly outside, one without area, an image without objects, one in a folder."""
    first = [
        {"bbox": [1.25, 2, 10, 5.5], "category_id": 7, "area": 30.5},
        {"bbox": [0, 0, 20, 10], "category_id": 5, "iscrowd": 1},
        {"bbox": [15, 5, 10, 2], "category_id": 7},
        {"bbox": [3, 3, 0, 4], "category_id": 7},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return a_source(
            tmp_path / "source", [("a b.jpg", (20, 10), first), ("empty.png", (8, 9), []), ("sub/c.jpg", (5, 5), [])]
        )


@pytest.mark.filterwarnings("ignore:.*boxes")
def test_coco_to_coco_is_the_same_in_every_field(source: DetectionDataset, tmp_path: Path) -> None:
    assert convert_dataset(source, "coco", tmp_path / "c", "val") == []
    again = read("coco", tmp_path / "c")
    for field in ("names", "category_ids"):
        assert getattr(again, field) == getattr(source, field)
    for field in (
        "ids",
        "sizes",
        "offsets",
        "boxes",
        "labels",
        "crowd",
        "difficult",
        "ignore",
        "empty",
        "areas",
        "annotation_ids",
    ):
        assert np.array_equal(getattr(again, field), getattr(source, field)), field
    assert [str(again.path(index).relative_to(tmp_path / "c" / "val")) for index in range(3)] == [
        "a b.jpg",
        "empty.png",
        "sub/c.jpg",
    ]
    assert 0 in source.annotation_ids  # kept, though the evaluation moves it


@pytest.mark.filterwarnings("ignore:.*boxes")
def test_what_voc_cannot_hold_is_told(source: DetectionDataset, tmp_path: Path) -> None:
    assert convert_dataset(source, "voc", tmp_path / "v", "val") == [
        "1 crowds became difficult objects",
        "1 boxes were rounded to whole pixels",
        f"the order of the classes is lost, or some have no object; to keep them: data.names={NAMES}",
        "the ids of images, categories and annotations are lost",
        "1 areas that are not those of the boxes are lost",
    ]
    voc = read("voc", tmp_path / "v")
    assert voc.difficult.tolist() == [False, True, False, False]
    assert voc.empty.tolist() == [False, False, False, True]
    assert voc.boxes.tolist() == [[1, 2, 10, 6], [0, 0, 20, 10], [15, 5, 10, 2], [3, 3, 0, 4]]
    assert [voc.path(index).name for index in range(3)] == ["a b.jpg", "empty.png", "sub_c.jpg"]
    # and the mark goes on to COCO and back
    assert convert_dataset(voc, "coco", tmp_path / "vc", "val") == []
    coco = read("coco", tmp_path / "vc")
    assert (coco.difficult.tolist(), coco.ignore.tolist()) == (voc.difficult.tolist(), voc.ignore.tolist())


@pytest.mark.filterwarnings("ignore:.*boxes")
def test_what_yolo_cannot_hold_is_told(source: DetectionDataset, tmp_path: Path) -> None:
    assert convert_dataset(source, "yolo", tmp_path / "y", "val") == [
        "1 crowds were left out",
        "1 boxes were clipped to their images",
        "the ids of images, categories and annotations are lost",
        "1 areas that are not those of the boxes are lost",
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*reach out")
        yolo = read("yolo", tmp_path / "y")
    assert (tmp_path / "y/labels/val/empty.txt").read_text(encoding="utf-8") == ""
    assert yolo.empty.tolist() == [False, False, True]
    assert np.allclose(yolo.boxes, [[1.25, 2, 10, 5.5], [15, 5, 5, 2], [3, 3, 0, 4]], rtol=0, atol=1e-12)
    assert yolo.path(2) == tmp_path / "y/images/val/sub/c.jpg"


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_images_are_linked_or_copied(
    source: DetectionDataset, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(folder: str) -> list[bool]:
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.suffix in (".jpg", ".png"))
        originals = [source.path(index) for index in range(3)]
        assert [file.read_bytes() for file in files] == [path.read_bytes() for path in originals]
        return [file.samefile(original) for file, original in zip(files, originals, strict=True)]

    convert_dataset(source, to, tmp_path / "linked", "val")
    convert_dataset(source, to, tmp_path / "copied", "val", copy_images=True)
    assert (same("linked"), same("copied")) == ([True] * 3, [False] * 3)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(write.os, "link", refuse)
    convert_dataset(source, to, tmp_path / "other disk", "val")
    assert same("other disk") == [False] * 3


def test_refusals_leave_nothing(source: DetectionDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(ConfigError, match="must be a new or an empty folder") as caught:
        convert_dataset(source, "voc", target, "../val")
    assert "the split's name must do as a file name, got '../val'" in caught.value.problems[1]
    with pytest.raises(ConfigError, match=r"in a YOLO folder must be one of train, val, test, got 'val2017'"):
        convert_dataset(source, "yolo", tmp_path / "y", "val2017")
    monkeypatch.setattr(write, "_place", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        convert_dataset(source, "coco", tmp_path / "full", "val")
    assert sorted(tmp_path.iterdir()) == before
    assert list(target.iterdir()) == [target / "mine"]


def test_a_destination_that_cannot_be_put_in_place(source: DetectionDataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(ConfigError, match="link: must be a folder of its own, no link"):
        convert_dataset(source, "coco", tmp_path / "link", "val")


@pytest.mark.parametrize(
    ("to", "names", "message"),
    [
        ("voc", ["a.jpg", "a.png"], "images 'a.jpg' and 'a.png' would share one annotation file"),
        ("yolo", ["a.jpg", "a.png"], "images 'a.jpg' and 'a.png' would share one annotation file"),
        ("voc", ["x/y.jpg", "x_y.jpg"], "images 'x_y.jpg' and 'x_y.jpg' would share one annotation file"),
        ("voc", [" a.jpg"], "image ' a.jpg': VOC's lists cannot hold this name"),
        ("voc", ["a\nb.jpg"], "VOC's lists cannot hold this name"),
        ("yolo", [".a.jpg"], "image '.a.jpg': has no suffix by which YOLO's images are found"),
    ],
)
def test_names_that_a_format_cannot_hold(tmp_path: Path, to: str, names: list[str], message: str) -> None:
    source = a_source(tmp_path, [(name, (4, 4), []) for name in names])
    with pytest.raises(DataError) as caught:
        convert_dataset(source, to, tmp_path / "t", "val")
    assert message in caught.value.problems[0]
    assert not (tmp_path / "t").exists()


def test_a_class_name_that_xml_cannot_hold(tmp_path: Path) -> None:
    source = a_source(tmp_path, [("a.jpg", (4, 4), [])], ["bell\a", " edge", "fine"])
    with pytest.raises(DataError) as caught:
        convert_dataset(source, "voc", tmp_path / "t", "val")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["class 'bell\\x07'", "class ' edge'"]
