"""What is mended is gone afterwards, every change is told, and nothing else changes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from good_set import GoodSet, Thing, encoded
from PIL import Image
from planted_boxes import OF_BOXES
from planted_sets import OF_SETS
from planting import enlarged

from resdet.cli import main
from resdet.config.schema import DetectionSourceConfig
from resdet.data.inspection.looks import look_at
from resdet.data.inspection.mend import KINDS, mended
from resdet.data.sources.detection import build_dataset

# planted mistake -> the kind that mends it, and how many changes that takes; None: as many as were told
MENDED = {
    "fractions in COCO": ("boxes-as-fractions", 90),
    "fractions in some of COCO": ("boxes-as-fractions", 1),
    "fractions divided twice in YOLO": ("boxes-as-fractions", 90),
    "corners in COCO": ("boxes-as-corners", None),
    "corners in YOLO": ("boxes-as-corners", 90),
    "left and top in YOLO": ("boxes-as-left-top", 90),
    "centres in COCO": ("boxes-as-centres", 90),
    "pixels in YOLO": ("boxes-as-pixels", 90),
    "thousandths in COCO": ("boxes-as-thousandths", 90),
    "corners, y before x, in COCO": ("boxes-as-corners", 90),
    "swapped axes in COCO, far outside": ("boxes-with-swapped-axes", 90),
    "width and height in place of corners in VOC": ("boxes-as-left-top", None),
    "wholly outside": ("box-wholly-outside", 1),
    "a negative side": ("box-reversed", 1),
    "left of the image": ("box-outside", 1),
    "above the image": ("box-outside", 1),
    "below the image": ("box-outside", 1),
    "a side of 0": ("box-without-area", 1),
    "xmin = xmax in VOC": ("box-of-one-pixel", 1),
    "an object twice in COCO": ("object-twice", 1),
    "a row twice in YOLO": ("object-twice", 1),
    "an object nearly twice": ("object-nearly-twice", 1),
    "names that differ by case": ("class-names-same", 1),
    "an image twice": ("image-twice", 1),
}


def planted(name: str, folder: Path) -> GoodSet:
    mistake = (OF_BOXES | OF_SETS)[name]
    good = GoodSet(folder, mistake.form)
    mistake.before(good)
    good.write()
    mistake.after(good)
    return good


def source(good: GoodSet) -> list[str]:
    where = ["--root", str(good.folder), "--split", "train"]
    if good.form == "coco":
        where = ["--root", str(good.folder / "images" / "train"), "--annotations", str(good.folder / "train.json")]
    return ["--format", good.form, *where]


def boxes_of(form: str, folder: Path) -> np.ndarray:
    """All boxes ``x, y, width, height`` of a written copy, in order."""
    where = {"root": str(folder), "split": "train"}
    if form == "coco":
        where = {"root": str(folder / "train"), "annotations": str(folder / "annotations" / "instances_train.json")}
    return build_dataset([DetectionSourceConfig(form, **where)]).boxes


@pytest.mark.parametrize("name", MENDED)
def test_a_mistake_is_mended(name: str, tmp_path: Path, capsys) -> None:
    kind, count = MENDED[name]
    good = planted(name, tmp_path / "bad")
    files = {path: path.read_bytes() for path in good.folder.rglob("*") if path.is_file()}
    copy = tmp_path / "copy"
    assert main(["data", "fix", *source(good), "--output", str(copy)]) == 0
    capsys.readouterr()
    with (copy / "changes.csv").open(encoding="utf-8", newline="") as file:
        changes = list(csv.DictReader(file))
    assert {change["kind"] for change in changes} == {kind}
    assert count is None or len(changes) == count
    assert all(change["where"] and change["after"] for change in changes)
    assert {path: path.read_bytes() for path in files} == files  # never in place
    where = {"coco": ["--root", str(copy / "train"), "--annotations", str(copy / "annotations" / "instances_train.json")]}
    again = ["--format", good.form, *where.get(good.form, ["--root", str(copy), "--split", "train"])]
    assert main(["data", "check", *again]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", [name for name in MENDED if MENDED[name][0].startswith("boxes-as") and "some" not in name])
def test_misread_boxes_become_what_was_meant(name: str, tmp_path: Path) -> None:
    good, meant = planted(name, tmp_path / "bad"), GoodSet(tmp_path / "good", "coco")
    main(["data", "fix", *source(good), "--output", str(tmp_path / "copy")])
    expected = np.array([thing.box for _, thing in meant.things], dtype=np.float64)
    # decimal fractions times sides below 200: float64 keeps them to 1e-12
    assert boxes_of(good.form, tmp_path / "copy") == pytest.approx(expected, abs=1e-9)


def test_only_the_kinds_asked_for_are_mended(small_set) -> None:
    dataset, changes = mended(small_set, look_at(small_set), ["box-outside"])
    assert (len(dataset), changes) == (30, [])
    assert (dataset.boxes == small_set.boxes).all()
    small_set.path(2).write_bytes(b"no image")
    Image.new("RGB", (124, 96)).save(small_set.path(4))
    small_set.path(6).write_bytes(small_set.path(4).read_bytes())
    looks = look_at(small_set)
    dataset, changes = mended(small_set, looks)
    assert [(change.kind, Path(change.where).name) for change in changes] == [
        ("image-unusable", "train02.jpg"),
        ("image-twice", "train06.jpg"),
    ]
    assert dataset.ids.tolist() == [key for key in range(1, 31) if key not in (3, 7)]
    dataset, changes = mended(small_set, looks, ["image-twice"])
    assert (len(dataset), len(changes)) == (29, 1)


def test_boxes_that_no_reader_takes_are_mended_or_told(tmp_path: Path, capsys) -> None:
    good = planted("wholly outside", tmp_path / "bad")
    assert main(["data", "check", *source(good)]) == 3
    assert "`resdet data fix --kinds box-wholly-outside` removes them" in capsys.readouterr().err
    assert main(["data", "fix", *source(good), "--output", str(tmp_path / "copy"), "--kinds", "box-outside"]) == 3
    assert "annotation id 12, 'quince'): 1 boxes cannot be written; add --kinds box-wholly-outside" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("form", ["coco", "voc", "yolo"])
def test_a_box_from_its_end_to_its_begin_is_turned_round(form: str, tmp_path: Path) -> None:
    good = GoodSet(tmp_path / "bad", form)
    photo, thing = good.train[3], good.train[3].things[2]
    x, y, w, h = thing.box
    centre = ((x + w / 2) / photo.width, (y + h / 2) / photo.height, -w / photo.width, h / photo.height)
    thing.raw = {"coco": (x + w, y, -w, h), "voc": (x + w, y + 1, x + 1, y + h), "yolo": centre}[form]
    good.write()
    assert main(["data", "fix", *source(good), "--output", str(tmp_path / "copy")]) == 0
    assert boxes_of(form, tmp_path / "copy")[11] == pytest.approx([x, y, w, h], abs=1e-9)


@pytest.mark.parametrize(
    ("whole", "kind"), [(1, "boxes-as-fractions"), (100, "boxes-as-hundredths"), (1000, "boxes-as-thousandths")]
)
def test_shares_of_the_sides_in_vocs_files(whole: int, kind: str, tmp_path: Path) -> None:
    good = GoodSet(tmp_path / "bad", "voc")
    for number, photo in enumerate(good.train):
        enlarged(3, number)(good)
        for thing in photo.things:
            x, y, w, h = thing.box
            sides = (x / photo.width, y / photo.height, (x + w) / photo.width, (y + h) / photo.height)
            thing.raw = tuple(whole * side for side in sides)
    good.write()
    assert main(["data", "fix", *source(good), "--output", str(tmp_path / "copy"), "--kinds", kind]) == 0
    meant = np.array([thing.box for _, thing in good.things])
    assert boxes_of("voc", tmp_path / "copy") == pytest.approx(meant, abs=1e-9)


def test_unknown_kinds_are_told_with_the_known(tmp_path: Path, capsys) -> None:
    assert main(["data", "fix", str(tmp_path), "--output", str(tmp_path / "x"), "--kinds", "boxes"]) == 2
    assert capsys.readouterr().err == f"error: --kinds must be of {', '.join(KINDS)}; got 'boxes'\n"


def test_a_path_with_two_parts_gives_two_folders(tmp_path: Path, capsys) -> None:
    good = GoodSet(tmp_path / "good", "yolo")
    good.write()
    (good.folder / "run.yaml").unlink()
    assert main(["data", "fix", str(good.folder), "--output", str(tmp_path / "copy")]) == 0
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["train", "val"]
    assert capsys.readouterr().out.count(" 0 changes: ") == 2


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_photos_labelled_before_exif_turned_them_are_mended(orientation: int, tmp_path: Path, capsys) -> None:
    good = GoodSet(tmp_path / "bad", "coco")
    photo = good.train[0]
    photo.things = [Thing(1, [20, 10, 40, 25])]
    stored = np.zeros((photo.height, photo.width, 3), np.uint8)
    stored[10:35, 20:60] = 255  # the object
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo.content = encoded(Image.fromarray(stored), "PNG", exif=exif)
    photo.name = "train00.png"
    good.write()
    assert main(["data", "check", *source(good)]) == 3
    assert "before its EXIF rotation; if so, `resdet data fix` turns it" in capsys.readouterr().err
    assert main(["data", "fix", *source(good), "--output", str(tmp_path / "copy")]) == 0
    images, annotations = tmp_path / "copy" / "train", tmp_path / "copy" / "annotations" / "instances_train.json"
    dataset = build_dataset([DetectionSourceConfig("coco", str(images), str(annotations))])
    assert len(dataset) == 30
    image, target = dataset.load(0)
    rows, columns = np.nonzero(np.asarray(image)[..., 0])
    assert target.boxes.tolist() == [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
