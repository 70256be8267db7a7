"""A good set gives no warning; one mistake planted in it gives one, with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from good_set import GoodSet
from planted_boxes import OF_BOXES
from planted_sets import OF_SETS

import resdet.data.inspection
from resdet.data.formats.readings import CONVENTIONS
from resdet.data.inspection.mend import KINDS

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


def test_the_document_lists_every_kind_of_finding_and_what_is_mended() -> None:
    folder = Path(resdet.data.inspection.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    kinds = set(re.findall(r'"((?:box|boxes|object|objects|class|image|images|file|anchors)-[a-z-]+)"', code))
    kinds |= set(CONVENTIONS)
    document = Path(__file__).resolve().parents[3] / "docs" / "data.md"
    table = document.read_text(encoding="utf-8").partition("\n| kind |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split("|") for line in table.splitlines()[2:]]
    told = {kind: row[-1].strip() for row in rows for kind in re.findall(r"`([a-z-]+)`", row[0])}
    assert set(told) == kinds
    mended = {kind for kind, word in told.items() if word == "yes"} | {"image-twice"}
    assert mended == set(KINDS)
