"""The reader of ImageNet's localization task: tables, XML files, the blacklist, and every problem of them."""

import csv
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from localized_files import A, B, content, picture, xml

from resdet.config.localization_data import LocalizationSourceConfig
from resdet.data.formats.imagenet_loc import read_imagenet_loc
from resdet.data.localization import boxed_indices
from resdet.data.sources.localization import build_localization_dataset
from resdet.errors import DataError


@pytest.fixture
def ilsvrc(tmp_path: Path) -> Path:
    """The published tree: three images of val with a table, two and two of train with three XML files, one of test."""
    data, notes = tmp_path / "ILSVRC" / "Data" / "CLS-LOC", tmp_path / "ILSVRC" / "Annotations" / "CLS-LOC"
    for name in ("val/v1", "val/v2", "val/v3", f"train/{A}/{A}_1", f"train/{A}/{A}_2", f"train/{B}/{B}_1", "test/t1"):
        picture(data / f"{name}.JPEG")
    xml(notes / "train" / A / f"{A}_1.xml", (A, (0, 0, 39, 29)), (A, (4, 5, 4, 5)), (B, (1, 1, 9, 9)))
    xml(notes / "train" / B / f"{B}_1.xml", (B, (30, 20, 49, 39)))
    lines = [f"v2,{B} 1 2 10 20 {B} 3 3 8 9 ", f"v1,{A} 0 0 39 29", f"v3,{A}"]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *lines]) + "\n")
    (tmp_path / "LOC_synset_mapping.txt").write_text(f"{A} tench, Tinca tinca\n{B} goldfish\n")
    return tmp_path


VAL = {"v1": (A, [[0, 0, 40, 30]]), "v2": (B, [[1, 2, 11, 21], [3, 3, 9, 10]]), "v3": (A, [])}


def test_val_by_the_table(ilsvrc: Path) -> None:
    with pytest.warns(UserWarning, match="val: 1 of 3 images have a class and no box"):
        dataset = read_imagenet_loc(ilsvrc, "val")
    assert dataset.names == (A, B)
    assert content(dataset) == VAL
    assert dataset.size(0) == dataset.size(2) == (30, 40)
    assert boxed_indices(dataset) == [0, 1]
    assert np.asarray(dataset.load(1)).shape == (30, 40, 3)
    with pytest.warns(UserWarning, match="no box"):
        assert content(read_imagenet_loc(ilsvrc / "ILSVRC" / "Data" / "CLS-LOC", "val")) == VAL


def test_val_by_xml_files(ilsvrc: Path) -> None:
    folder = ilsvrc / "ILSVRC" / "Annotations" / "CLS-LOC" / "val"
    table = ilsvrc / "LOC_val_solution.csv"
    xml(folder / "v1.xml", (A, (0, 0, 39, 29)))
    xml(folder / "v2.xml", (B, (1, 2, 10, 20)), (B, (3, 3, 8, 9)))
    xml(folder / "v3.xml", (A, (0, 0, 1, 1)))
    moved = table.rename(ilsvrc / "table.csv")
    expected = {**VAL, "v3": (A, [[0, 0, 2, 2]])}
    assert content(read_imagenet_loc(ilsvrc, "val")) == expected
    folder.rename(ilsvrc / "notes")
    assert content(read_imagenet_loc(ilsvrc, "val", annotations=ilsvrc / "notes")) == expected
    # a table goes before XML files
    with pytest.warns(UserWarning, match="1 of 3 images have a class and no box"):
        assert content(read_imagenet_loc(ilsvrc, "val", annotations=ilsvrc / "notes", solution=moved)) == VAL


@pytest.mark.filterwarnings("ignore")  # those besides the one matched
def test_train_in_class_folders(ilsvrc: Path) -> None:
    with pytest.warns(UserWarning, match="clipped") as told:
        dataset = read_imagenet_loc(ilsvrc, "train")
    texts = [str(warning.message) for warning in told]
    assert "boxes reach out of their images and were clipped, by 10 pixels at most" in texts[0]
    assert texts[1].endswith("train: 1 objects of another class than their image's are left out")
    assert texts[2].endswith("train: 1 of 3 images have a class and no box")
    assert content(dataset) == {
        f"{A}_1": (A, [[0, 0, 40, 30], [4, 5, 5, 6]]),
        f"{A}_2": (A, []),
        f"{B}_1": (B, [[30, 20, 40, 30]]),
    }
    table = ilsvrc / "LOC_train_solution.csv"
    table.write_text(f"ImageId,PredictionString\n{A}_2,{A} 1 1 2 2\n")
    with pytest.warns(UserWarning, match="2 of 3 images"):
        assert content(read_imagenet_loc(ilsvrc, "train"))[f"{A}_2"] == (A, [[1, 1, 3, 3]])


def test_test_images_have_no_class(ilsvrc: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = read_imagenet_loc(ilsvrc, "test")
    assert content(dataset) == {"t1": ("?", [])}
    assert dataset.names == (A, B)


def test_the_blacklist(ilsvrc: Path) -> None:
    path = ilsvrc / "blacklist.txt"
    path.write_text("2\n3\n")
    with pytest.warns(UserWarning, match="2 of 3 images have a class and no box"):
        assert content(read_imagenet_loc(ilsvrc, "val", blacklist=path)) == {**VAL, "v2": (B, [])}
    path.write_text("0\n4\nx\n1\n")
    with pytest.raises(DataError, match=r"blacklist.txt: must hold numbers from 1 to 3, one a line; others \(3\): 0, 4, x"):
        read_imagenet_loc(ilsvrc, "val", blacklist=path)


def test_every_problem_of_a_table(ilsvrc: Path) -> None:
    images, table = ilsvrc / "ILSVRC" / "Data" / "CLS-LOC" / "val", ilsvrc / "LOC_val_solution.csv"
    for name in ("v4", "v5", "v6", "v7", "v8"):
        picture(images / f"{name}.JPEG")
    (images / "v9.JPEG").write_bytes(b"")
    table.write_text(
        f"ImageId,PredictionString\nv1,{A} 50 0 60 9\nv2,{A} 9 0 5 9\nv3,{A} 0 0 5\nv4,n02 0 0 5 5\nv5,{A} 0 0 x 5\n"
        f"v1,{A}\nv6,\nv0,{A}\nv7,{A} 0 0 nan 5\nv9,{A} 0 0 1 1\n"
    )
    with pytest.raises(DataError) as caught:
        read_imagenet_loc(ilsvrc, "val")
    outside = "box lies wholly outside its image of 40 x 30 pixels, got"
    rule = "PredictionString must be 'wnid xmin ymin xmax ymax', again and again, got"
    assert sorted(caught.value.problems) == sorted(
        [
            f"{table}: line 7: v1 has a line already",
            f"{table}: line 2: object 1: {outside} [50, 0, 11, 10] (x, y, width, height)",
            f"{table}: line 3: object 1: box must have a positive width and height, got [9, 0, -3, 10] (x, y, width, height)",
            f"{table}: line 4: {rule} '{A} 0 0 5'",
            f"{table}: line 6: {rule} '{A} 0 0 x 5'",
            f"{table}: line 10: object 1: box must be finite, got [0, 0, nan, 6] (x, y, width, height)",
            f"{images / 'v9.JPEG'}: cannot be read as an image: the file is empty",
            f"{table}: images of {images} without a class (2): v6, v8",
            f"{table}: annotations without an image in {images} (1): v0",
            f"{images}: class 'n02' is not among the classes asked for (known: {A}, {B})",
            f"{images}: only in the file: n02; only asked for: {B}",
            f"{table}: line 5: uses class 'n02'",
        ]
    )


def test_every_problem_of_xml_files(ilsvrc: Path) -> None:
    notes, images = ilsvrc / "ILSVRC" / "Annotations" / "CLS-LOC" / "train", ilsvrc / "ILSVRC" / "Data" / "CLS-LOC" / "train"
    (notes / A / f"{A}_2.xml").write_text("<annotation><size>")
    xml(notes / A / f"{A}_3.xml", (A, (0, 0, 1, 1)))
    xml(notes / B / f"{B}_1.xml", ("n02", (0, 0, 1, 1)), (B, (41, 0, 45, 9)))
    with pytest.raises(DataError) as caught:
        read_imagenet_loc(ilsvrc, "train")
    problems = "\n".join(caught.value.problems)
    assert f"{notes / A / f'{A}_2.xml'}: is not XML that can be read" in problems
    assert f"{notes}: annotations without an image in {images} (1): {A}_3" in problems
    assert f"{notes / B / f'{B}_1.xml'}: object 2: box lies wholly outside its image of 40 x 30 pixels" in problems
    assert f"{notes / B / f'{B}_1.xml'}: uses class 'n02'" in problems
    shutil.rmtree(notes)
    with pytest.raises(DataError, match=r"train: has no boxes: no LOC_train_solution.csv beside or above, no "):
        read_imagenet_loc(ilsvrc, "train")


@pytest.mark.filterwarnings("ignore")
def test_an_image_of_another_size_than_its_xml_file(ilsvrc: Path) -> None:
    xml(ilsvrc / "ILSVRC" / "Annotations" / "CLS-LOC" / "train" / B / f"{B}_1.xml", (B, (0, 0, 9, 9)), size=(30, 40))
    with pytest.warns(UserWarning, match="no box"):
        dataset = read_imagenet_loc(ilsvrc, "train")
    with pytest.raises(DataError, match=f"{B}_1.JPEG: is 40 x 30 pixels, its annotation says 30 x 40"):
        dataset.load(2)


def fives(words: list[str]) -> list[list[str]]:
    return [words[first : first + 5] for first in range(0, len(words), 5)]


@pytest.mark.real
def test_the_first_validation_images(shared_data: Path) -> None:
    root = shared_data / "imagenet_val100"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = build_localization_dataset(LocalizationSourceConfig(root=str(root), split="val"))
    assert (len(dataset), len(dataset.names), len(dataset.rows)) == (100, 1000, 155)
    with (root / "LOC_val_solution.csv").open() as file:
        rows = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(file)}
    assert content(dataset) == {
        key: (words[0], [[float(x1), float(y1), float(x2) + 1, float(y2) + 1] for _, x1, y1, x2, y2 in fives(words)])
        for key, words in rows.items()
    }
    for index in range(len(dataset)):
        width, height = dataset.load(index).size
        assert dataset.size(index) == (height, width)
        # counted from 0, the last pixel included: both ends are reached, and none is passed
        assert dataset.boxes(index).min() >= 0
        assert dataset.boxes(index)[:, 2].max() <= width
        assert dataset.boxes(index)[:, 3].max() <= height
