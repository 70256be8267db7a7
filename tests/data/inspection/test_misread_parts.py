"""Some images' boxes in another convention: told with count and place, never clipped, and read so when asked."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from good_set import GoodSet, Photo, encoded, scene
from planting import enlarged

from resdet.cli import main
from resdet.config.schema import DetectionSourceConfig
from resdet.data.sources.detection import build_dataset

CORNERS = lambda x, y, w, h: (x, y, x + w, y + h)  # noqa: E731
SIZES = lambda x, y, w, h: (x, y, w, h)  # noqa: E731
SWAPPED = lambda x, y, w, h: (y, x, h, w)  # noqa: E731
# format -> how the images of a part are written, and the kind that reads them
PARTS = {
    "coco, corners": ("coco", CORNERS, "boxes-as-corners"),
    "coco, axes": ("coco", SWAPPED, "boxes-with-swapped-axes"),
    "voc, sizes": ("voc", lambda x, y, w, h: (x + 1, y + 1, w, h), "boxes-as-left-top"),
    "yolo, corners": ("yolo", CORNERS, "boxes-as-corners"),
    "yolo, pixels": ("yolo", lambda x, y, w, h: (x + w / 2, y + h / 2, w, h), "boxes-as-pixels"),
    "csv, sizes": ("csv", SIZES, "boxes-as-left-top"),
    "csv of sizes, corners": ("csv of sizes", CORNERS, "boxes-as-corners"),
}


def write_table(good: GoodSet, *, sides: bool) -> None:
    corners = "bbox_x,bbox_y,bbox_width,bbox_height" if sides else "xmin,ymin,xmax,ymax"
    rows = [f"filename,class,{corners}"]
    for photo, thing in good.things:
        usual = SIZES if sides else CORNERS
        rows.append(",".join(map(str, (photo.name, good.names[thing.label], *(thing.raw or usual(*thing.box))))))
    good.text("train.csv", "\n".join(rows))


def part_set(folder: Path, name: str, every: int, *, cut: bool = False) -> tuple[GoodSet, list[str]]:
    """A set of which every so many images are written in another way; ``cut``: five others have a box that goes on below."""
    form, write, _ = PARTS[name]
    good = GoodSet(folder, form.partition(" ")[0])
    for photo in good.train:  # landscape alone: axes that are swapped there leave the image
        for thing in photo.things if photo.width < photo.height else []:
            thing.box = [thing.box[index] for index in (1, 0, 3, 2)]
        if photo.width < photo.height:
            turn(photo)
    for photo in good.train[1::every]:
        for thing in photo.things:
            sides = (photo.width, photo.height) * 2 if (good.form == "yolo" and "pixels" not in name) else (1, 1, 1, 1)
            thing.raw = tuple(value / side for value, side in zip(write(*thing.box), sides, strict=True))
    if cut:
        for photo in good.train[2:12:2]:
            photo.things[1].box[1] = photo.height - photo.things[1].box[3] + 6
    if good.form == "csv":
        good.form = "coco"
        good.write()
        write_table(good, sides="of sizes" in form)
        return good, ["--format", "csv", "--root", str(folder / "images" / "train"), "--annotations", str(folder / "train.csv")]
    good.write()
    where = ["--root", str(folder), "--split", "train"]
    if form == "coco":
        where = ["--root", str(folder / "images" / "train"), "--annotations", str(folder / "train.json")]
    return good, ["--format", form, *where]


def turn(photo: Photo) -> None:
    photo.width, photo.height = photo.height, photo.width
    photo.content = encoded(scene(1000 + int(photo.name[5:7]), (photo.width, photo.height)), quality=90)


def written(source: list[str], folder: Path) -> np.ndarray:
    form = source[1] if source[1] != "csv" else "coco"
    where = {"root": str(folder), "split": "train"}
    if form == "coco":
        annotations = next((folder / "annotations").glob("*.json"))
        where = {"root": str(folder / annotations.stem.removeprefix("instances_")), "annotations": str(annotations)}
    return build_dataset([DetectionSourceConfig(form, **where)]).boxes


@pytest.mark.parametrize("every", [2, 4, 10])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_told_once_and_read_when_asked(name: str, every: int, tmp_path: Path, capsys) -> None:
    good, source = part_set(tmp_path / "bad", name, every)
    kind = PARTS[name][2]
    main(["data", "check", *source])
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if kind in line]) == 1, lines
    assert len(lines) == 1, lines
    assert main(["data", "fix", *source, "--output", str(tmp_path / "copy"), "--kinds", kind]) == 0
    expected = np.array([thing.box for _, thing in good.things], dtype=np.float64)
    assert written(source, tmp_path / "copy") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in PARTS if "pixels" not in name])
def test_a_part_that_nobody_asked_to_read_is_left_and_told(name: str, tmp_path: Path, capsys) -> None:
    _, source = part_set(tmp_path / "bad", name, 4)
    kind, copy = PARTS[name][2], tmp_path / "copy"
    status = main(["data", "fix", *source, "--output", str(copy)])
    told = capsys.readouterr().err
    assert f"data fix --kinds {kind}` reads those images so" in told
    assert "when read as" in told
    if status == 0:
        with (copy / "changes.csv").open(encoding="utf-8", newline="") as file:
            assert list(csv.DictReader(file)) == []
    else:  # no format can hold them
        assert not copy.exists()


def test_boxes_of_objects_that_are_cut_off_are_clipped_beside_a_part(tmp_path: Path, capsys) -> None:
    _, source = part_set(tmp_path / "bad", "coco, corners", 4, cut=True)
    main(["data", "check", *source])
    lines = capsys.readouterr().err.splitlines()
    assert any("when read as corners" in line for line in lines), lines
    assert any("5 boxes reach out of their images" in line for line in lines), lines
    assert main(["data", "fix", *source, "--output", str(tmp_path / "copy"), "--kinds", "box-outside"]) == 0
    assert capsys.readouterr().out.count("box-outside: 5") == 1


def test_boxes_that_are_only_cut_off_are_of_no_other_convention(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(5)
    good = GoodSet(tmp_path, "coco")
    for photo, thing in good.things[::4]:
        side, share = int(rng.integers(4)), rng.uniform(0.1, 0.4)
        limit = (photo.width, photo.height)[side % 2]
        size = thing.box[2 + side % 2]
        thing.box[side % 2] = -share * size if side < 2 else limit - size + share * size
    good.write()
    status, _, lines = good.check(capsys)
    assert (status, len(lines)) == (0, 1)
    assert "23 boxes reach out of their images" in lines[0]


def test_many_boxes_wholly_outside_are_one_line(tmp_path: Path, capsys) -> None:
    good = GoodSet(tmp_path, "voc")
    for photo in good.train[:7]:
        photo.things[2].box[:2] = [300, 300]
    good.write()
    status, _, lines = good.check(capsys)
    assert (status, len(lines)) == (3, 1)
    assert "train00.xml: object 3: box lies wholly outside" in lines[0]
    assert "(and 6 more like it); `resdet data fix --kinds box-wholly-outside` removes them" in lines[0]


def test_a_table_of_sizes_is_not_mended_as_corners(tmp_path: Path) -> None:
    good, source = part_set(tmp_path / "bad", "csv of sizes, corners", 40)
    for _, thing in good.things:
        thing.raw = None
    expected = np.array([thing.box for _, thing in good.things], dtype=np.float64)
    for photo in good.train[:5]:
        x, y, w, h = photo.things[0].box
        photo.things[0].raw = (x + w, y, -w, h)  # drawn to the left
    write_table(good, sides=True)
    assert main(["data", "fix", *source, "--output", str(tmp_path / "copy")]) == 0
    assert written(source, tmp_path / "copy") == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 12])
def test_hundredths_among_fractions_are_not_taken_for_pixels(count: int, tmp_path: Path, capsys) -> None:
    good = GoodSet(tmp_path / "bad", "yolo")
    for number, photo in enumerate(good.train):
        enlarged(4, number)(good)
        for thing in photo.things[: 3 if count > 1 else 1] if number < count else []:
            x, y, w, h = thing.box
            wide, high = photo.width / 100, photo.height / 100
            thing.raw = ((x + w / 2) / wide, (y + h / 2) / high, w / wide, h / high)
    good.write()
    source = ["--format", "yolo", "--root", str(good.folder), "--split", "train"]
    status = main(["data", "fix", *source, "--output", str(tmp_path / "copy")])
    if count == 1:  # too few to tell
        assert status == 3
        assert "1 lines hold no fractions, and may be pixels or hundredths" in capsys.readouterr().err
    else:
        expected = np.array([thing.box for _, thing in good.things], dtype=np.float64)
        assert written(source, tmp_path / "copy") == pytest.approx(expected, abs=1e-6)
