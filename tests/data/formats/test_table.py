"""Tables of text: what separates their lines and columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.data.formats.table import columns_of, delimiter_of, read_csv


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_line_end_with_every_delimiter(delimiter: str, end: str, tmp_path: Path) -> None:
    lines = ["path,label", "a.jpg,cat", "b.jpg,dog", ""]
    text = end.join(line.replace(",", delimiter) for line in lines)
    assert (delimiter_of(text), columns_of(text)) == (delimiter, ["path", "label"])
    (tmp_path / "a.csv").write_bytes(text.encode())
    problems: list[str] = []
    assert read_csv(tmp_path / "a.csv", ["label", "path"], problems) == [(2, ["cat", "a.jpg"]), (3, ["dog", "b.jpg"])]
    assert not problems
