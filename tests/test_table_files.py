from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from resdet.files import write_csv


def test_cells_come_back_as_they_went(tmp_path: Path) -> None:
    rows = [["plain", 'with "quotes", and a comma', "two\nlines", "naïve"], ["", None, 0.1, 3]]
    write_csv(tmp_path / "new" / "table.csv", ["a", "b", "c", "d"], rows)
    with (tmp_path / "new" / "table.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["a", "b", "c", "d"], rows[0], ["", "", "0.1", "3"]]
    assert (tmp_path / "new" / "table.csv").read_bytes().startswith(b"a,b,c,d\r\nplain,")


def test_a_table_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, ["a"], [["old"]])

    def rows() -> Iterator[list[str]]:
        yield ["new"]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_csv(path, ["a"], rows())
    assert path.read_text() == "a\nold\n"
    assert list(tmp_path.iterdir()) == [path]
