"""A sound set of classes gives no warning; one mistake planted in it gives one, with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from good_set import encoded, scene
from planting import deep

from resdet.cli import main

SIZE = (64, 48)


def put(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(scene(seed, SIZE)))


def many(root: Path) -> None:
    for seed in range(60):
        put(root / f"train/apple/more{seed}.jpg", 900 + seed)


def in_both(name: str) -> Callable[[Path], object]:
    return lambda root: [put(root / f"{part}/{name}/1.jpg", 500 + ord(part[0])) for part in ("train", "val")]


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "names that differ by case": (in_both("Apple"), r"differ only in case.*\('Apple', 'apple'\)"),
    "names that differ by a plural": (in_both("apples"), r"a slip\? \('apple', 'apples'\)"),
    "a rare class": (many, r"1 classes have 10 times fewer images than 'apple' \(66\): 'pear' 6"),
    "a class that validation lacks": (
        lambda root: put(root / "train/fig/1.jpg", 500),
        r"no image in validation.*train/fig/1\.jpg",
    ),
    "16 bits that hold 12": (
        lambda root: (root / "train/pear/deep.png").write_bytes(deep(4095)(SIZE)),
        r"1 images of 16 bits hold values of 12 bits.*train/pear/deep\.png",
    ),
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for number, place in enumerate(f"{part}/{name}" for part in ("train", "val") for name in ("apple", "pear")):
        for image in range(6):
            put(tmp_path / f"set/{place}/{image}.jpg", 10 * number + image)
    return tmp_path / "set"


def test_a_good_set_gives_no_warning_and_its_classes_are_counted(good: Path, capsys) -> None:
    assert main(["data", "check", str(good)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert [line.partition(": ")[2] for line in captured.out.splitlines()] == ["12 images, 2 classes: apple 6, pear 6"] * 2


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_told_with_its_place(name: str, good: Path, capsys) -> None:
    plant, says = MISTAKES[name]
    plant(good)
    assert main(["data", "check", str(good)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(says, line)
    assert str(good) in line
