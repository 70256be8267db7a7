import json
from pathlib import Path

import numpy as np
import pytest

from resdet.data.check import undecodable
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.synthetic.scenes import make_shapes
from resdet.data.synthetic.shapes import CLASS_NAMES, draw_crop, draw_scene
from resdet.errors import ConfigError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_bytes_for_a_seed_and_others_for_another(tmp_path: Path) -> None:
    for name, seed in (("one", 4), ("two", 4), ("other", 5)):
        make_shapes(tmp_path / name, train=6, val=3, size=96, seed=seed)
    one, two, other = (contents(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other", "two"]  # no temporary folder is left


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    make_shapes(tmp_path / "few", train=2, val=1, size=64, seed=0)
    make_shapes(tmp_path / "more", train=5, val=2, size=64, seed=0)
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    pictures = [name for name in few if name.endswith(".jpg")]
    assert all(few[name] == more[name] for name in pictures)
    assert few["images/train/000001.jpg"] != few["images/val/000001.jpg"]


def test_both_layouts_are_read_by_their_readers(tmp_path: Path) -> None:
    written = make_shapes(tmp_path / "shapes", train=12, val=4, size=80, seed=1)
    objects = 0
    for split, count in (("train", 12), ("val", 4)):
        annotations = tmp_path / "shapes" / "annotations" / f"instances_{split}.json"
        dataset = read_coco(tmp_path / "shapes" / "images" / split, annotations)
        crops = read_folder(tmp_path / "shapes" / "crops" / split)
        objects += len(dataset.labels)
        assert len(dataset) == count
        assert dataset.names == CLASS_NAMES
        assert crops.names == tuple(sorted(CLASS_NAMES))
        assert np.bincount(crops.labels).tolist() == [count // 2] * len(CLASS_NAMES)
        assert undecodable(dataset) == undecodable(crops) == []
        assert crops.load(0).size == (32, 32)
    assert written == {"images": 16, "objects": objects, "crops": 64}


@pytest.fixture(scope="module")
def scenes() -> list:
    return [draw_scene(np.random.default_rng((0, index)), 120, 160) for index in range(400)]


def test_the_promised_mixture(scenes: list) -> None:
    objects = [found for _, group in scenes for found in group]
    single = [found for found in objects if not found.crowd]
    sides = np.array([max(found.box[2:]) for found in single]) / 160
    assert len(CLASS_NAMES) >= 8
    assert 0.04 < np.mean([not group for _, group in scenes]) < 0.16
    assert 0.01 < np.mean([any(found.crowd for found in group) for _, group in scenes]) < 0.12
    assert {found.label for found in single} == set(range(len(CLASS_NAMES)))
    assert sides.max() <= 0.5 + 2 / 160
    assert np.mean(sides < 1 / 8) > 0.1
    assert np.mean(sides > 1 / 3) > 0.1


def test_boxes_lie_in_the_image_and_hold_their_area(scenes: list) -> None:
    for pixels, group in scenes:
        assert pixels.shape == (120, 160, 3)
        assert pixels.dtype == np.uint8
        for found in group:
            x, y, width, height = found.box
            assert 0 <= x < x + width <= 160
            assert 0 <= y < y + height <= 120
            assert 0 < found.area <= width * height


def test_the_box_is_tight_around_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    # on flat ground without clutter and noise, the pixels that differ from the ground are the object
    from resdet.data.synthetic import shapes

    monkeypatch.setattr(shapes, "background", lambda rng, height, width: np.zeros((height, width, 3), np.float32))
    monkeypatch.setattr(shapes, "_draw_distractor", lambda *args, **kwargs: None)
    monkeypatch.setattr(shapes, "texture", lambda rng, ground, height, width: np.full((height, width, 3), 255, np.float32))
    monkeypatch.setattr(shapes._Canvas, "finished", lambda self, rng: self.pixels.astype(np.uint8))
    checked = 0
    for index in range(60):
        pixels, objects = draw_scene(np.random.default_rng((3, index)), 100, 100)
        if len(objects) == 1 and not objects[0].crowd:
            rows, columns = np.nonzero(pixels[..., 0] > 127)
            x, y, width, height = objects[0].box
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x, y, x + width, y + height)
            assert objects[0].area == len(rows)
            checked += 1
    assert checked > 3


def test_hidden_objects_are_not_annotated() -> None:
    from resdet.data.synthetic.shapes import _Canvas, _outline

    rng = np.random.default_rng(0)
    canvas = _Canvas(np.zeros((100, 100, 3), np.float32))
    square = [np.array([[10.0, 10], [60, 10], [60, 60], [10, 60]])]
    key = canvas.draw(rng, square)
    assert canvas.visible(key, 2).box == (10, 10, 50, 50)
    canvas.draw(rng, [np.array([[10.0, 10], [60, 10], [60, 35], [10, 35]])])
    assert canvas.visible(key, 2).box == (10, 35, 50, 25)
    canvas.draw(rng, [np.array([[10.0, 35], [60, 35], [60, 45], [10, 45]])])
    assert canvas.visible(key, 2) is None
    assert canvas.visible(canvas.draw(rng, _outline(rng, 0, 20.0, np.array([300.0, -50.0]))), 0) is None


@pytest.mark.parametrize("label", range(len(CLASS_NAMES)), ids=CLASS_NAMES)
def test_crops(label: int) -> None:
    crop = draw_crop(np.random.default_rng(label), label, 48)
    assert crop.shape == (48, 48, 3)
    assert crop.dtype == np.uint8
    assert np.array_equal(crop, draw_crop(np.random.default_rng(label), label, 48))


def test_wrong_arguments_come_together(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(ConfigError) as caught:
        make_shapes(tmp_path, train=0, val=-1, size=8, seed=-2)
    assert caught.value.problems == (
        "'train' must be at least 1, got 0",
        "'val' must be at least 1, got -1",
        "'size' must be 32 … 4096 pixels, got 8",
        "'seed' must not be negative, got -2",
        f"{tmp_path}: must be a new or an empty folder",
    )
    with pytest.raises(ConfigError, match="must be a new or an empty folder"):
        make_shapes(tmp_path / "something", train=1, val=1, size=32, seed=0)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resdet.data.synthetic import scenes as synthetic

    monkeypatch.setattr(synthetic, "_write_crops", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_shapes(tmp_path / "shapes", train=1, val=1, size=32, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_annotations_name_their_origin(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    make_shapes(tmp_path / "shapes", train=1, val=1, size=32, seed=6)
    content = json.loads((tmp_path / "shapes" / "annotations" / "instances_val.json").read_text())
    assert content["info"] == {"description": "resdet shapes, val", "size": 32, "seed": 6}
