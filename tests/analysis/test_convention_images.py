"""Which images of a folder are measured, and whose labels are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from stripes import striped, write_folder

from resdet.analysis.convention_images import read_sample
from resdet.errors import ConfigError, DataError


def _pictures(folder: Path, count: int, size: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", (size, size), (index % 256, index // 256, 0)).save(folder / f"{index:04d}.png")
    return folder


def test_labels_of_class_folders(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "val", 40, classes=True)
    sample = read_sample(folder, 32, 32, 8)
    images, labels = striped(40, 2)
    assert sample.labels is not None
    order = [next(i for i in range(40) if torch.equal(images[i], image)) for image in sample.images]
    assert sorted(order) == list(range(40))
    assert sample.labels.tolist() == labels[order].tolist()


def test_class_folders_by_name_where_the_names_are_known(tmp_path: Path) -> None:
    for name in ("b", "c"):
        _pictures(tmp_path / "val" / name, 4)
    sample = read_sample(tmp_path / "val", 8, 8, 3, ["c", "a", "b"])
    assert sample.labels is not None
    assert sample.labels.tolist() == [2] * 4 + [0] * 4


@pytest.mark.parametrize(
    ("classes", "names"),
    [(3, ()), (0, ()), (3, ("x", "y", "z"))],
    ids=["another number of classes", "no classifier", "other names"],
)
def test_other_layouts_have_no_labels(tmp_path: Path, classes: int, names: tuple[str, ...]) -> None:
    for name in ("b", "c"):
        _pictures(tmp_path / "val" / name, 4)
    assert read_sample(tmp_path / "val", 8, 8, classes, names).labels is None


def test_images_beside_class_folders_have_no_labels(tmp_path: Path) -> None:
    _pictures(tmp_path / "a", 4)
    _pictures(tmp_path / "b", 4)
    _pictures(tmp_path, 1)
    assert read_sample(tmp_path, 8, 8, 2).labels is None


def _ilsvrc(root: Path, wnids: list[str], *, lines: int) -> Path:
    folder = _pictures(root / "data" / "val", 8)
    rows = [f"{index:04d},{wnids[index % len(wnids)]} 1 1 2 2" for index in range(lines)]
    (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]) + "\n")
    (root / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} thing\n" for wnid in wnids))
    return folder


def test_labels_of_ilsvrc_s_table(tmp_path: Path) -> None:
    folder = _ilsvrc(tmp_path, ["n02", "n01"], lines=8)
    for place in (folder, tmp_path):
        sample = read_sample(place, 8, 8, 2)
        assert sample.labels is not None
        assert sample.labels.tolist() == [1, 0] * 4
    assert read_sample(folder, 8, 8, 1000).labels is None


def test_a_table_that_does_not_fit_is_told(tmp_path: Path) -> None:
    folder = _ilsvrc(tmp_path, ["n01", "n02"], lines=7)
    with pytest.warns(UserWarning, match=r"errors are not measured: .*images of .* without a line \(1\): 0007"):
        assert read_sample(folder, 8, 8, 2).labels is None


@pytest.mark.parametrize(
    ("count", "crop", "expected"), [(9, 224, 9), (100, 224, 64), (100, 640, 64), (600, 32, 512), (600, 112, 256)]
)
def test_how_many_and_that_they_are_spread_over_the_folder(tmp_path: Path, count: int, crop: int, expected: int) -> None:
    sample = read_sample(_pictures(tmp_path, count), crop, crop, 0)
    assert tuple(sample.images.shape) == (expected, 3, crop, crop)
    numbers = (sample.images[:, 0, 0, 0].int() + 256 * sample.images[:, 1, 0, 0].int()).tolist()
    assert numbers == [index * count // expected for index in range(expected)]


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    folder = _pictures(tmp_path, 9)
    (folder / "0003.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"1 of 9 images cannot be read and are left out: .*0003\.png"):
        assert len(read_sample(folder, 8, 8, 0).images) == 8
    (folder / "0004.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_sample(folder, 8, 8, 0)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(("make", "message"), [(0, "must hold 8 images or more, got none"), (7, "or more, got 7")])
def test_too_few_images(tmp_path: Path, make: int, message: str) -> None:
    folder = _pictures(tmp_path / "images", make)
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(ConfigError, match=message):
        read_sample(folder, 8, 8, 0)


def test_no_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", _pictures(tmp_path, 1) / "0000.png"):
        with pytest.raises(ConfigError, match=r"--images: no such folder: "):
            read_sample(path, 8, 8, 0)
