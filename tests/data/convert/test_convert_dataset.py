"""Conversions: what one format holds comes back from another, and what it cannot hold is told."""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resdet.data.convert import write
from resdet.data.convert.write import convert_dataset
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.coco import read_coco
from resdet.data.formats.voc import read_voc
from resdet.data.formats.yolo import read_yolo
from resdet.errors import ConfigError, DataError

NAMES = ["zebra crossing", "cat & <dog>", "ünï: #1"]


def read(to: str, folder: Path, names: list[str] | None = None) -> DetectionDataset:
    if to == "coco":
        return read_coco(folder / "val", folder / "annotations" / "instances_val.json", names)
    return read_voc(folder, "val", names) if to == "voc" else read_yolo(folder, "val", names)


def a_source(folder: Path, images: list[tuple[str, tuple[int, int], list[dict]]], names: list[str] = NAMES) -> DetectionDataset:
    """A COCO data set of (file name, size, annotations), with ids of its own."""
    content = {"images": [], "annotations": [], "categories": [{"id": 5 + 2 * k, "name": n} for k, n in enumerate(names)]}
    for number, (name, (width, height), objects) in enumerate(images):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (number, 0, 0)).save(path)
        content["images"].append({"id": 900 - 7 * number, "file_name": name, "width": width, "height": height})
        for row in objects:
            content["annotations"].append({"id": 3 * len(content["annotations"]), "image_id": 900 - 7 * number, **row})
    (folder / "instances.json").write_text(json.dumps(content))
    return read_coco(folder / "images", folder / "instances.json")


def objects_of(dataset: DetectionDataset, order: tuple[str, ...] = ()) -> dict[str, list[tuple]]:
    """Image file name -> (class name, float32 box corners) of its objects of training, and its size."""
    found = {}
    for index in range(len(dataset)):
        target = dataset.target(index)
        rows = zip(target.labels.tolist(), target.boxes.tolist(), strict=True)
        found[dataset.path(index).name] = [target.size, *((dataset.names[label], box) for label, box in rows)]
    return found


def an_object(draw: st.DrawFn, width: int, height: int, step: int) -> dict:
    """A box whose corners are multiples of 1 / step pixel, within the image."""
    sides = []
    for side in (width, height):
        low, high = sorted(draw(st.lists(st.integers(0, side * step), min_size=2, max_size=2, unique=True)))
        sides.append((low / step, (high - low) / step))
    (x, w), (y, h) = sides
    return {"bbox": [x, y, w, h], "category_id": draw(st.sampled_from([5, 7, 9]))}


@st.composite
def image_lists(draw: st.DrawFn, step: int) -> list:
    images = []
    for name in draw(st.lists(st.sampled_from(["a.jpg", "b c.png", "d.e.jpg", "7 1.png"]), min_size=1, unique=True)):
        size = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
        count = draw(st.integers(0, 4))
        images.append((name, size, [an_object(draw, *size, step) for _ in range(count)]))
    return images


@settings(max_examples=25)
@given(image_lists(step=64))
def test_coco_and_yolo_hold_every_box_to_the_last_digit_of_a_float32(images: list) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = a_source(folder, images)
        expected = objects_of(source)
        convert_dataset(source, "yolo", folder / "y", "val")
        yolo = read("yolo", folder / "y")
        convert_dataset(yolo, "coco", folder / "yc", "val")
        convert_dataset(read("coco", folder / "yc"), "yolo", folder / "ycy", "val")
        for dataset in (yolo, read("coco", folder / "yc"), read("yolo", folder / "ycy")):
            assert dataset.names == tuple(NAMES)
            assert objects_of(dataset) == expected


@settings(max_examples=25)
@given(image_lists(step=1))
def test_whole_pixels_go_through_all_three_formats(images: list) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = a_source(folder, images)
        expected = objects_of(dataset)
        for number, to in enumerate(("voc", "yolo", "voc", "coco", "voc", "coco", "yolo", "coco")):
            lost = convert_dataset(dataset, to, folder / str(number), "val")
            assert not any("rounded" in line or "clipped" in line for line in lost)
            dataset = read(to, folder / str(number), NAMES)
            assert objects_of(dataset) == expected


@settings(max_examples=40)
@given(image_lists(step=16))
def test_voc_rounds_by_half_a_pixel_at_most_and_no_box_vanishes(images: list) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = a_source(Path(name), images)
        convert_dataset(source, "voc", Path(name) / "v", "val")
        voc = read("voc", Path(name) / "v", NAMES)
        assert len(voc.boxes) == len(source.boxes)
        corners = [np.concatenate([d.boxes[:, :2], d.boxes[:, :2] + d.boxes[:, 2:]], 1) for d in (source, voc)]
        thin = np.tile((source.boxes[:, 2:] < 1), 2)
        assert (np.abs(corners[0] - corners[1]) <= np.where(thin, 1, 0.5)).all()
        assert (corners[1] == np.round(corners[1])).all()
        assert (voc.boxes[:, 2:] >= 1).all()


@pytest.mark.parametrize("box", [[99.5, 10, 5, 5], [-5, 10, 5.4, 5], [10, 99.6, 3, 9], [10, -3, 4, 3.2], [99.9, 99.9, 0.1, 50]])
def test_a_sliver_at_the_edge_stays_in_the_image(tmp_path: Path, box: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of boxes that reach out
        source = a_source(tmp_path, [("a.png", (100, 100), [{"bbox": box, "category_id": 5}])])
        convert_dataset(source, "voc", tmp_path / "v", "val")
        voc = read("voc", tmp_path / "v", NAMES)
    (kept,), (seen,) = voc.target(0).boxes.tolist(), source.target(0).boxes.tolist()
    assert all(abs(a - b) <= 1 for a, b in zip(kept, seen, strict=True))


def test_labels_go_where_the_reader_looks(tmp_path: Path) -> None:
    row = {"bbox": [1, 2, 3, 4], "category_id": 7}
    source = a_source(tmp_path, [("images/a.png", (20, 10), [row]), ("other/b.png", (20, 10), [row])])
    convert_dataset(source, "yolo", tmp_path / "y", "val")
    assert objects_of(read("yolo", tmp_path / "y")) == objects_of(source)


def test_a_destination_that_cannot_be_put_in_place(source: DetectionDataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(ConfigError, match="link: must be a folder of its own, no link"):
        convert_dataset(source, "coco", tmp_path / "link", "val")


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
    assert not (tmp_path / "y/labels/val/empty.txt").exists()
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


def test_real_sets_go_round(shared_data: Path, tmp_path: Path) -> None:
    voc = read_voc(shared_data / "voc2012_mini" / "VOC2012", "val")
    assert convert_dataset(voc, "coco", tmp_path / "vc", "val") == []
    coco = read("coco", tmp_path / "vc")
    assert convert_dataset(coco, "voc", tmp_path / "vcv", "val") == []
    back = read("voc", tmp_path / "vcv")
    assert coco.ground_truth() == voc.ground_truth() == back.ground_truth()
    assert convert_dataset(voc, "yolo", tmp_path / "vy", "val") == ["38 difficult objects became ordinary ones"]
    assert objects_of(read("yolo", tmp_path / "vy")) == objects_of(voc)
    root = shared_data / "coco_mini"
    coco = read_coco(root / "val2017", root / "annotations" / "instances_val2017.json")
    convert_dataset(coco, "yolo", tmp_path / "cy", "val")
    yolo = read("yolo", tmp_path / "cy")
    assert yolo.names == coco.names
    boxes = {coco.path(index).name: coco.target(index).boxes[~coco.target(index).ignore] for index in range(len(coco))}
    for index in range(len(yolo)):
        assert yolo.target(index).boxes.tolist() == boxes[yolo.path(index).name].tolist()
