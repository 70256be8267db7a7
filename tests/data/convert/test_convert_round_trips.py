"""Conversions there and back: the objects that come back from another format are those that went in."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sets_to_convert import NAMES, a_source, objects_of, read

from resdet.data.convert.write import convert_dataset
from resdet.data.formats.coco import read_coco
from resdet.data.formats.voc import read_voc


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
