"""Classification sources of a run file, and what else its data section names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from resdet.config.schema import ClassificationDataConfig, ClassificationSourceConfig
from resdet.data.formats.folder import read_folder
from resdet.data.sources.classification import (
    build_classification_dataset,
    build_mean_image,
    build_test_transform,
    build_train_transform,
)
from resdet.data.statistics import pixel_statistics, write_mean_image
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.data.transforms.lighting import ColorComponents
from resdet.errors import ConfigError, DataError


def test_a_folder_of_classes(shared_data: Path) -> None:
    source = ClassificationSourceConfig("folder", str(shared_data / "tiny_imagenet_10" / "train"))
    dataset = build_classification_dataset(source)
    assert (len(dataset), len(dataset.names)) == (5000, 10)
    assert dataset.load(0).size == (64, 64)


WRONG_SPLITS = [
    ("imagenet", "test", "train, val"),
    ("cifar10", "val", "train, test, train45k, val5k"),
    ("cifar100", "val", "train, test, train45k, val5k"),
]


@pytest.mark.parametrize(("format", "split", "choices"), WRONG_SPLITS)
def test_a_split_that_a_format_does_not_know(tmp_path: Path, format: str, split: str, choices: str) -> None:  # noqa: A002
    with pytest.raises(ConfigError) as caught:
        build_classification_dataset(ClassificationSourceConfig(format, str(tmp_path), split), option="data.val")
    assert str(caught.value) == f"option 'data.val.split' of format {format} must be one of {choices}, got {split!r}"


def crops(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (20, 16), (40, 80, 120)).save(folder / name / "1.png")
    return folder


def test_every_format_of_labelled_images(tmp_path: Path) -> None:
    crops(tmp_path / "train")
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    (tmp_path / "list.csv").write_text("path,label\ntrain/dog/1.png,dog\nval/cat/1.png,cat\n")
    root = str(tmp_path)
    sources = [
        # split is not for a folder, nor for a list
        ClassificationSourceConfig("folder", f"{root}/train", "val5k"),
        ClassificationSourceConfig("imagenet", root, "train"),
        ClassificationSourceConfig("imagenet", root, "val"),
        ClassificationSourceConfig("list", root, "val5k", f"{root}/list.csv"),
    ]
    for source in sources:
        dataset = build_classification_dataset(source)
        assert (dataset.names, len(dataset)) == (("cat", "dog"), 2)
        assert sorted(dataset.label(index) for index in range(2)) == [0, 1]
        assert dataset.load(0).size == (20, 16)
        assert build_classification_dataset(source, ["dog", "cat"]).names == ("dog", "cat")


def test_options_of_labelled_images_that_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val").mkdir(parents=True)

    def told(*source: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            build_classification_dataset(ClassificationSourceConfig(*source))
        return caught.value.problems

    hint = f" (did you mean '{tmp_path}/ILSVRC/Data/CLS-LOC'?)"
    assert told("imagenet", str(tmp_path), "val", "none.csv") == (
        f"option 'data.train.root' must name the folder that holds val, got '{tmp_path}'{hint}",
        "option 'data.train.annotations' must name a file, got 'none.csv'",
    )
    assert told("imagenet", str(tmp_path), "train") == (
        f"option 'data.train.root' must name the folder that holds train, got '{tmp_path}'",
    )
    assert told("list", str(tmp_path)) == ("option 'data.train.annotations' must name a file, got ''",)
    # the split is wrong, and the file
    assert told("imagenet", str(tmp_path), "test", "none.csv") == (
        "option 'data.train.split' of format imagenet must be one of train, val, got 'test'",
        "option 'data.train.annotations' must name a file, got 'none.csv'",
    )
    assert told("list", "none", "train", "none.csv") == ("option 'data.train.root' must name a folder, got 'none'",)


def test_the_training_transform_of_a_data_section(tmp_path: Path) -> None:
    data = ClassificationDataConfig(crop=40, short_side=[48, 64], pad=3, hflip=0.25, lighting=0.2)
    assert build_train_transform(data) == ClassificationTrainTransform(40, (48, 64), 3, 0.25, 0.2)
    data.crop_from, data.area, data.pca = "area", [0.2, 0.9], str(tmp_path / "pca.json")
    with pytest.raises(ConfigError, match=r"option 'data.pca' must name a file, got '.*pca\.json'"):
        build_train_transform(data)
    components = {"eigenvalues": [3, 2, 1], "eigenvectors": [[0, 1, 0], [1, 0, 0], [0, 0, 1]]}
    (tmp_path / "pca.json").write_text(json.dumps(components))
    transform = build_train_transform(data)
    assert (transform.crop_from, transform.area) == ("area", (0.2, 0.9))
    assert transform.pca == ColorComponents((3, 2, 1), ((0, 1, 0), (1, 0, 0), (0, 0, 1)))
    (tmp_path / "pca.json").write_text("{")
    with pytest.raises(DataError, match=r"pca\.json: is not JSON"):
        build_train_transform(data)


def test_the_mean_image_of_a_data_section(tmp_path: Path) -> None:
    dataset = read_folder(crops(tmp_path / "train"))
    data = ClassificationDataConfig(crop=8, test_short_side=16)
    assert build_mean_image(data, dataset) is None
    data.mean_image = "compute"
    computed = build_mean_image(data, dataset)
    assert torch.equal(computed, torch.tensor([40.0, 80.0, 120.0]).view(3, 1, 1).expand(3, 8, 8))
    data.mean_image = str(tmp_path / "mean.safetensors")
    with pytest.raises(ConfigError, match=r"option 'data\.mean_image' must name a file, got"):
        build_mean_image(data, dataset)
    write_mean_image(data.mean_image, pixel_statistics(dataset, build_test_transform(data)), "x")
    assert torch.equal(build_mean_image(data, dataset), computed)
    data.crop = 9
    with pytest.raises(DataError, match=r"'mean' must be float32 \(3, 9, 9\)"):
        build_mean_image(data, dataset)
