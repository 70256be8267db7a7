"""A good set gives no warning; one mistake planted in it gives one, with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from good_set import GoodSet
from planted_boxes import OF_BOXES
from planted_sets import OF_SETS

MISTAKES = OF_BOXES | OF_SETS


@pytest.mark.parametrize("form", ["coco", "voc", "yolo"])
def test_a_good_set_gives_no_warning_and_its_classes_are_counted(form: str, tmp_path: Path, capsys) -> None:
    good = GoodSet(tmp_path, form)
    good.write()
    status, out, err = good.check(capsys)
    assert (status, err) == (0, [])
    assert [line.rpartition(": ")[2] for line in out.splitlines()] == [
        "apple 30, pear 30, quince 30",
        "apple 12, pear 12, quince 12",
    ]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_told_with_its_place(name: str, tmp_path: Path, capsys) -> None:
    mistake = MISTAKES[name]
    good = GoodSet(tmp_path, mistake.form)
    mistake.before(good)
    good.write()
    mistake.after(good)
    status, _, lines = good.check(capsys, *mistake.options)
    assert status == mistake.status, lines
    told = [line for line in lines if re.search(mistake.says, line)]
    assert told, lines
    assert re.search(mistake.place, told[0]), told
    if not mistake.status:  # one cause, one warning
        assert len(lines) == 1, lines


def test_there_are_many_mistakes() -> None:
    assert len(MISTAKES) >= 40
