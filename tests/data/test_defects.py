"""Every defect of docs/data.md's table, made in each format and met by ``resdet data check``."""

import re
from pathlib import Path

import pytest
from data_tables import DOCUMENT, TABLES, with_tables
from spoiled_sets import DEFECTS, FORMATS, Lab

from resdet.cli import main


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect(tmp_path: Path, capsys: pytest.CaptureFixture[str], defect: str, form: str) -> None:
    change, *expected = DEFECTS[defect]
    status, message = expected[FORMATS.index(form)]
    lab = Lab(tmp_path, form)
    change(lab)
    assert main(lab.check()) == status
    captured = capsys.readouterr()
    assert re.search(message, captured.out + captured.err), captured.err[:2000]
    assert "Traceback" not in captured.err
    assert all(len(line) < 20_000 for line in captured.err.splitlines())


@pytest.mark.parametrize("form", FORMATS)
def test_the_sound_set_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert main(Lab(tmp_path, form).check()) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "data.train[0]: 2 images (0 without objects), 2 objects (0 crowds, 0 difficult), 1 classes: cat 2\n",
        "",
    )


def test_the_tables_of_the_document_are_those_of_the_tests() -> None:
    """``python tests/data/data_tables.py`` writes them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_tables(text) == text
    for header in TABLES:
        assert text.count(f"\n{header}\n") == 1
