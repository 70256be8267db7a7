"""Which image of a folder a path or a URL of another computer means, where several have the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.data.formats.places import ImagePlaces


@pytest.mark.parametrize(
    ("root", "name", "found"),
    [
        # what predict writes for Label Studio of the folder `photos`, read beside that folder and in it
        (".", "/data/local-files/?d=photos/a.jpg", "photos/a.jpg"),
        (".", "/data/local-files/?d=photos/old/a.jpg", "photos/old/a.jpg"),
        ("photos", "/data/local-files/?d=photos/a.jpg", "a.jpg"),
        ("photos", "/data/local-files/?d=photos/old/a.jpg", "old/a.jpg"),
        ("photos", "C:\\me\\photos\\a.jpg", "a.jpg"),
        ("photos", "/elsewhere/a.jpg", "/elsewhere/a.jpg"),  # either may be meant
    ],
)
def test_the_folders_say_which(root: str, name: str, found: str, tmp_path: Path) -> None:
    for folder in ("photos", "photos/old", "kept/photos"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").touch()
    assert ImagePlaces(tmp_path / root).find(name)[0] == found
