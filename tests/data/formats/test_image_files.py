"""Which file each image of a source has, and what is said of those without one, and of two with one."""

from __future__ import annotations

import os
from pathlib import Path

from resdet.data.formats.image_files import ImageFiles


def test_files_are_found_and_the_others_are_told(tmp_path: Path) -> None:
    for name in ("a.jpg", "deep/b.jpg", "c.PNG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    notes: list[tuple[str, str]] = []
    files = ImageFiles(lambda what, where: notes.append((where, what.partition(",")[0])))
    names = ["a.jpg", "/home/else/b.jpg", "b.jpg", "c.jpg", "../a.jpg", "a.jpg"]
    wrong = [files.add(f"s: {number}", tmp_path, name, at_once=False) for number, name in enumerate(names)]
    assert [number for number, problem in enumerate(wrong) if problem] == [4]
    # b.jpg is taken by image 1 already
    assert files.missing() == [
        f"s: 2: no such image file: {tmp_path / 'b.jpg'}",
        f"s: 3: no such image file: {tmp_path / 'c.jpg'} (the file is there with another suffix: c.PNG)",
    ]
    assert files.shared("s") == [f"s: 5: its file is that of 0 too: {tmp_path / 'a.jpg'}"]
    assert notes == [("s: 1", "images are found by their file names alone")]
    wanted = ["a.jpg", "deep/b.jpg", "b.jpg", "c.jpg", None, "a.jpg"]
    assert files.paths == [os.fsencode(tmp_path / name) if name else b"" for name in wanted]
