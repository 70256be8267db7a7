"""Boxes that count pixels otherwise are moved where both ends show it, and are told how to write where one does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from good_set import GoodSet

from resdet.cli import main
from resdet.data.formats.coco import read_coco
from resdet.data.inspection.off_by_one import off_by_one


def at_edges(folder: Path) -> GoodSet:
    """A set of which ten objects begin at the left edge (the first of each landscape) and ten end at the bottom."""
    good = GoodSet(folder, "coco")
    for photo in good.train[:20]:
        photo.things[1].box[1] = photo.height - photo.things[1].box[3]
    return good


@pytest.mark.parametrize(("begin", "end"), [(1, 1), (-1, -1), (1, 0), (0, 1), (0, -1)])
def test_boxes_are_moved_where_both_ends_show_it(begin: int, end: int, tmp_path: Path, capsys) -> None:
    good = at_edges(tmp_path / "bad")
    expected = np.array([thing.box for _, thing in good.things], dtype=np.float64)
    for _, thing in good.things:
        x, y, w, h = thing.box
        thing.raw = (x + begin, y + begin, w + end - begin, h + end - begin)
    good.write()
    images, annotations = good.folder / "images" / "train", good.folder / "train.json"
    source = ["--format", "coco", "--root", str(images), "--annotations", str(annotations)]
    assert main(["data", "check", *source]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert "`resdet data fix --kinds boxes-off-by-one` moves all: " in lines[0]
    assert main(["data", "fix", *source, "--output", str(tmp_path / "copy")]) == 0
    fixed = read_coco(tmp_path / "copy" / "train", tmp_path / "copy" / "annotations" / "instances_train.json")
    assert fixed.boxes == pytest.approx(expected)


def test_where_one_end_shows_nothing_the_remedy_says_what_to_write(tmp_path: Path, capsys) -> None:
    good = GoodSet(tmp_path, "coco")
    for _, thing in good.things:
        thing.raw = (thing.box[0] + 1, thing.box[1] + 1, *thing.box[2:])
    good.write()
    _, _, lines = good.check(capsys)
    assert len(lines) == 1
    assert "if all boxes are off so, write them anew: left and top a pixel less" in lines[0]


def test_a_good_set_is_off_by_nothing(tmp_path: Path) -> None:
    good = at_edges(tmp_path)
    good.write()
    dataset = read_coco(good.folder / "images" / "train", good.folder / "train.json")
    assert off_by_one(dataset, np.ones(len(dataset.boxes), bool)) is None
