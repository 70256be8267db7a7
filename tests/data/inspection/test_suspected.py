"""Rows of ``label_suspicions.json`` change what they name in the copy, and nothing else."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from good_set import GoodSet, Thing

from resdet.cli import main

NEW = [50.5, 60.25, 20.0, 15.5]


def row(kind: str, image: int, category: str, annotated: str | None = None, key: int | None = None, **others: Any) -> dict:
    told = {"annotated": annotated, "annotation_id": key, "score": None if kind == "never found" else 0.9, "bbox": NEW}
    return {"kind": kind, "image_id": image, "file": f"far/away/val{image - 1:02}.jpg", "category": category, **told, **others}


# annotation ids count from 1, three objects an image: apple, pear, quince
ROWS = [
    row("no box", 2, "pear"),
    row("no box", 2, "apple", bbox=[90, 100, 50, 40.0]),  # the image is 96 x 124: cut off there
    row("another class", 3, "quince", "apple", 7),
    row("never found", 4, "pear", "pear", 11),
]


@pytest.fixture
def good(tmp_path: Path) -> GoodSet:
    made = GoodSet(tmp_path / "good", "coco")
    made.write()
    return made


def fix(good: GoodSet, rows: Any, *kinds: str) -> int:
    file = good.folder / "agreed.json"
    file.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    where = ["--config", str(good.folder / "run.yaml"), "--output", str(good.folder.parent / "copy")]
    return main(["data", "fix", *where, "--suspicions", str(file), *(["--kinds", *kinds] if kinds else [])])


def objects(path: Path) -> dict[int, list[tuple[str, list[float]]]]:
    """The class and box of the objects of each image of a json, in order."""
    content = json.loads(path.read_text())
    names = {each["id"]: each["name"] for each in content["categories"]}
    found: dict[int, list[tuple[str, list[float]]]] = {each["id"]: [] for each in content["images"]}
    for each in content["annotations"]:
        found[each["image_id"]].append((names[each["category_id"]], [float(side) for side in each["bbox"]]))
    return found


def test_the_rows_are_changed_and_told(good: GoodSet) -> None:
    files = {path: path.read_bytes() for path in good.folder.rglob("*") if path.is_file()}
    assert fix(good, ROWS, "no-box", "another-class", "never-found") == 0
    copy = good.folder.parent / "copy"
    expected = objects(good.folder / "val.json")
    expected[2] += [("pear", NEW), ("apple", [90.0, 100.0, 6.0, 24.0])]
    expected[3][0] = ("quince", expected[3][0][1])
    removed = expected[4].pop(1)
    assert objects(copy / "val" / "annotations" / "instances_val.json") == expected
    assert objects(copy / "train" / "annotations" / "instances_train.json") == objects(good.folder / "train.json")
    with (copy / "val" / "changes.csv").open(newline="") as file:
        changes = [(each["kind"], Path(each["where"]).name, each["before"], each["after"]) for each in csv.DictReader(file)]
    box = " ".join(f"{side:g}" for side in removed[1])
    assert changes == [
        ("another-class", "val02.jpg: object 1 (annotation id 7, 'apple')", "apple", "quince"),
        ("never-found", "val03.jpg: object 2 (annotation id 11, 'pear')", box, "removed"),
        ("no-box", "val01.jpg", "", "pear 50.5 60.25 20 15.5"),
        ("no-box", "val01.jpg", "", "apple 90 100 6 24"),
    ]
    assert {path: path.read_bytes() for path in files} == files  # never in place


def test_only_the_kinds_asked_for_are_changed(good: GoodSet) -> None:
    assert fix(good, ROWS, "never-found") == 0
    expected = objects(good.folder / "val.json")
    del expected[4][1]
    assert objects(good.folder.parent / "copy" / "val" / "annotations" / "instances_val.json") == expected


def test_other_findings_are_mended_when_they_are_named(good: GoodSet) -> None:
    good.parts["val"][0].things.append(Thing(1, good.parts["val"][0].things[0].box))  # ids move by one from here on
    good.parts["val"][0].things.append(Thing(1, good.parts["val"][0].things[0].box))
    good.write()
    assert fix(good, [row("never found", 1, "apple", "apple", 1)], "never-found", "object-twice") == 0
    copy = objects(good.folder.parent / "copy" / "val" / "annotations" / "instances_val.json")
    assert [name for name, _ in copy[1]] == ["pear", "quince", "pear"]


WRONG = {
    "{}": "must be a list of suspicions, as `resdet report` writes it, got dict",
    "[1": "is not JSON",
    "[3]": "row 1: must be an object, got 3",
    json.dumps([row("no box", 2, "pear", bbox=[1, 2, 3])]): "row 1: 'bbox' must be x, y, width and height in pixels",
    json.dumps([row("no box", 2, "pear", bbox=[1, 2, 0, 3])]): "row 1: 'bbox' must be",
    json.dumps([row("no box", 2, "pear", bbox=[1, 2, np.nan, 3])]): "row 1: 'bbox' must be",
    json.dumps([row("nobox", 2, "pear")]): "row 1: 'kind' is not as `resdet report` writes it, got 'nobox'",
    json.dumps([row("never found", 2, "pear")]): "row 1: 'annotated' is not as",
    json.dumps([row("no box", True, "pear")]): "row 1: 'image_id' is not as",
    json.dumps([row("no box", 2, "plum")]): "row 1: the data set has no class 'plum'",
    json.dumps([row("no box", 99, "pear")]): "row 1: image val98.jpg with id 99 is not in the data; give the data of the",
    json.dumps([row("never found", 2, "pear", "pear", 4)]): "row 1: val01.jpg has no 'pear' with annotation id 4",
    json.dumps([row("never found", 2, "pear", "pear", 400)]): "row 1: val01.jpg has no 'pear' with annotation id 400",
    json.dumps([ROWS[2], row("another class", 3, "pear", "apple", 7)]): "row 2: annotation id 7 has another row with another",
}


@pytest.mark.parametrize("text", WRONG)
def test_rows_that_cannot_be_followed(text: str, good: GoodSet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fix(good, text, "no-box", "another-class", "never-found") == 3
    told = capsys.readouterr().err
    assert WRONG[text] in told
    assert told.count("\n") == 1
    assert not (good.folder.parent / "copy").exists()


def test_kinds_must_be_named(good: GoodSet, capsys: pytest.CaptureFixture[str]) -> None:
    for kinds in ((), ("object-twice",)):
        assert fix(good, ROWS, *kinds) == 2
        told = capsys.readouterr().err
        assert told == "error: --suspicions changes what --kinds names: some of no-box, another-class, never-found\n"


def test_images_of_one_id_and_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    shapes = tmp_path / "shapes"
    assert main(["data", "make", "shapes", str(shapes), "--train", "2", "--val", "2", "--size", "64"]) == 0
    files = {split: f"annotations/instances_{split}.json" for split in ("train", "val")}
    image = json.loads((shapes / files["val"]).read_text())["images"][0]
    agreed = row("no box", image["id"], "star", file=f"another/disk/images/val/{image['file_name']}", bbox=[1, 2, 9, 9])
    (tmp_path / "agreed.json").write_text(json.dumps([agreed]))
    command = ["data", "fix", str(shapes), "--suspicions", str(tmp_path / "agreed.json"), "--kinds", "no-box"]
    assert main([*command, "--output", str(tmp_path / "copy")]) == 0
    for split, more in (("train", []), ("val", [("star", [1.0, 2.0, 9.0, 9.0])])):
        found, before = objects(tmp_path / "copy" / split / files[split]), objects(shapes / files[split])
        assert found[image["id"]] == before[image["id"]] + more
