"""The reader of Tiny ImageNet: its three splits, and every problem of its files."""

import shutil
from pathlib import Path

import pytest
from localized_files import A, B, content, picture

from resdet.config.localization_data import LocalizationSourceConfig
from resdet.data.formats.tiny_imagenet import read_tiny_imagenet
from resdet.data.sources.localization import build_localization_dataset
from resdet.errors import DataError


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Tiny-ImageNet's layout: two images a class in train, three in val, one in test."""
    for wnid in (B, A):
        for number in range(2):
            picture(tmp_path / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", (64, 64))
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text(
            f"{wnid}_1.JPEG\t0\t3\t63\t9\n{wnid}_0.JPEG\t63\t2\t63\t2\n"
        )
    for name in ("val/images/val_0", "val/images/val_1", "test/images/test_0"):
        picture(tmp_path / f"{name}.JPEG", (64, 64))
    lines = f"val_1.JPEG\t{A}\t1\t2\t3\t4\nval_0.JPEG\t{B}\t0\t0\t63\t63\n"
    (tmp_path / "val" / "val_annotations.txt").write_text(lines)
    (tmp_path / "wnids.txt").write_text(f"{B}\n{A}\n")
    return tmp_path


def test_tiny_imagenet(tiny: Path) -> None:
    train = read_tiny_imagenet(tiny, "train")
    boxes = ([[63, 2, 64, 3]], [[0, 3, 64, 10]])
    assert content(train) == {f"{wnid}_{number}": (wnid, boxes[number]) for wnid in (A, B) for number in range(2)}
    assert content(read_tiny_imagenet(tiny, "val")) == {"val_0": (B, [[0, 0, 64, 64]]), "val_1": (A, [[1, 2, 4, 5]])}
    assert content(read_tiny_imagenet(tiny, "test")) == {"test_0": ("?", [])}
    shutil.rmtree(tiny / "train")
    assert read_tiny_imagenet(tiny, "val").names == (A, B)
    assert read_tiny_imagenet(tiny, "val", [B, "other", A]).labels.tolist() == [0, 2]
    (tiny / "wnids.txt").unlink()
    with pytest.raises(DataError, match="its class names are unknown"):
        read_tiny_imagenet(tiny, "val")


def test_every_problem_of_tiny_imagenet(tiny: Path) -> None:
    table, images = tiny / "train" / A / f"{A}_boxes.txt", tiny / "train" / A / "images"
    table.write_text(f"{A}_0.JPEG 1 2 3\n{A}_0.JPEG a 2 3 4\n\n{A}_9.JPEG 1 2 3 4\n{A}_1.JPEG 9 2 3 4\n{A}_1.JPEG 1 2 3 4\n")
    (tiny / "train" / B / f"{B}_boxes.txt").unlink()
    with pytest.raises(DataError) as caught:
        read_tiny_imagenet(tiny, "train")
    layout = "must be 'file xmin ymin xmax ymax', got"
    problems = list(caught.value.problems)
    assert problems[:4] == [
        f"{table}: line 1: {layout} '{A}_0.JPEG 1 2 3'",
        f"{table}: line 2: {layout} '{A}_0.JPEG a 2 3 4'",
        f"{table}: line 6: {A}_1.JPEG has a line already",
        f"{table}: lines without an image in {images} (1): {A}_9.JPEG",
    ]
    assert f"{B}_boxes.txt: cannot be read" in problems[4]
    assert (
        problems[-1] == f"{table}: line 5: box must have a positive width and height, got [9, 2, -5, 3] (x, y, width, height)"
    )
    val = tiny / "val" / "val_annotations.txt"
    val.write_text("val_1.JPEG n02 1 2 3 4\n")
    with pytest.raises(DataError) as caught:
        read_tiny_imagenet(tiny, "val")
    assert list(caught.value.problems[:2]) == [
        f"{val}: images of {tiny / 'val' / 'images'} without a line (1): val_0.JPEG",
        f"{val}: class 'n02' is not among the classes asked for (known: {A}, {B})",
    ]


@pytest.mark.real
def test_real_tiny_imagenet(shared_data: Path) -> None:
    root = shared_data / "tiny_imagenet_10"
    dataset = build_localization_dataset(LocalizationSourceConfig("tiny_imagenet", str(root), "val"))
    assert (len(dataset), len(dataset.names), len(dataset.rows)) == (500, 10, 500)
    lines = [line.split() for line in (root / "val" / "val_annotations.txt").read_text().splitlines()]
    expected = {row[0][:-5]: (row[1], [[float(row[2]), float(row[3]), float(row[4]) + 1, float(row[5]) + 1]]) for row in lines}
    assert content(dataset) == expected
