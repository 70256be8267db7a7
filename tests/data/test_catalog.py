import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from resdet.config.schema import ClassificationDataConfig, ClassificationSourceConfig, DetectionSourceConfig
from resdet.data.catalog import (
    build_classification_dataset,
    build_dataset,
    build_mean_image,
    build_test_transform,
    build_train_transform,
)
from resdet.data.dataset import aspect_groups, concatenate, subset, usable_indices
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.statistics import pixel_statistics, write_mean_image
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.data.transforms.lighting import ColorComponents
from resdet.errors import ConfigError, DataError


def coco_source(files) -> DetectionSourceConfig:
    return DetectionSourceConfig("coco", str(files.images), str(files.annotations))


def test_two_sources_joined(tiny_coco) -> None:
    source = coco_source(tiny_coco)
    one, two = build_dataset([source]), build_dataset([source, source])
    assert (len(one), len(two)) == (6, 12)
    assert two.image_ids == list(range(1, 13))
    assert two.category_ids == (1, 2)
    for index in range(6):
        for other in (index, index + 6):
            assert two.target(other).boxes.tolist() == one.target(index).boxes.tolist()
            assert two.path(other) == one.path(index)
    truth = two.ground_truth()
    assert len({row["id"] for row in truth["annotations"]}) == len(truth["annotations"]) == 22
    assert usable_indices(two) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 11]


def test_names_of_the_first_source_rule(tiny_coco, tmp_path: Path) -> None:
    content = tiny_coco.read()
    content["categories"] = [{"id": 1, "name": "disk"}, {"id": 7, "name": "box"}]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    swapped = DetectionSourceConfig("coco", str(tiny_coco.images), str(other))
    joined = build_dataset([coco_source(tiny_coco), swapped])
    assert joined.names == ("box", "disk")
    assert joined.target(0).labels.tolist() == [0, 1]
    assert joined.target(6).labels.tolist() == [1, 0]


def test_problems_of_every_source_come_together(tiny_coco, tmp_path: Path) -> None:
    content = tiny_coco.read()
    content["categories"][0]["name"] = "bax"
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(content))
    worse = tmp_path / "worse.json"
    worse.write_text("{")
    sources = [DetectionSourceConfig("coco", str(tiny_coco.images), str(path)) for path in (worse, bad)]
    with pytest.raises(DataError) as caught:
        build_dataset(sources, ["box", "disk"])
    assert "worse.json: is not JSON" in caught.value.problems[0]
    assert "class 'bax' is not among the classes asked for (did you mean 'box'?)" in caught.value.problems[1]


def test_missing_files_name_the_option(tiny_coco, tmp_path: Path) -> None:
    (tmp_path / "voc" / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").touch()
    sources = [
        DetectionSourceConfig("coco", str(tmp_path / "none"), "x.json"),
        DetectionSourceConfig("coco", str(tiny_coco.images), ""),
        DetectionSourceConfig("voc", str(tmp_path / "voc"), split="trian"),
        DetectionSourceConfig("voc", ""),
    ]
    with pytest.raises(ConfigError) as caught:
        build_dataset(sources)
    assert [problem.split(",")[0] for problem in caught.value.problems] == [
        "option 'data.train[0].root' must name a folder",
        "option 'data.train[1].annotations' must name a file",
        f"option 'data.train[2].split' must name a list of {tmp_path}/voc/ImageSets/Main",
        "option 'data.train[3].root' must name a folder",
    ]
    assert "did you mean 'train'?" in caught.value.problems[2]
    with pytest.raises(ConfigError, match=r"option 'data.val' must name at least one data set"):
        build_dataset([], option="data.val")
    with pytest.raises(ConfigError, match=r"option 'data.val.root' must name a folder, got 'nowhere'"):
        build_classification_dataset(ClassificationSourceConfig("folder", "nowhere"), option="data.val")


def test_one_source_is_not_numbered() -> None:
    with pytest.raises(ConfigError, match=r"option 'data.val.root' must name a folder, got ''"):
        build_dataset([DetectionSourceConfig()], option="data.val")


def test_real_voc_lists_joined(shared_data: Path) -> None:
    root = str(shared_data / "kangaroo_voc")
    joined = build_dataset([DetectionSourceConfig("voc", root, split=split) for split in ("train", "val")])
    assert (len(joined), joined.names) == (163, ("kangaroo",))


def test_a_folder_of_classes(shared_data: Path) -> None:
    source = ClassificationSourceConfig("folder", str(shared_data / "tiny_imagenet_10" / "train"))
    dataset = build_classification_dataset(source)
    assert (len(dataset), len(dataset.names)) == (5000, 10)
    assert dataset.load(0).size == (64, 64)


def test_concatenate_needs_the_same_names(tiny_coco) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    other = read_coco(tiny_coco.images, tiny_coco.annotations, ["disk", "box"])
    with pytest.raises(ValueError, match="same class names"):
        concatenate([dataset, other])
    with pytest.raises(ValueError, match="same class names"):
        concatenate([])


def test_subset_and_groups(tiny_coco) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    part = subset(dataset, [5, 4, 0])
    assert part.image_ids == [6, 5, 1]
    for index, original in enumerate([5, 4, 0]):
        assert part.target(index).boxes.tolist() == dataset.target(original).boxes.tolist()
        assert part.target(index).ignore.tolist() == dataset.target(original).ignore.tolist()
    assert {row["image_id"] for row in part.ground_truth()["annotations"]} == {6, 1}
    assert len(subset(dataset, [])) == 0
    assert aspect_groups(dataset, [0, 1, 4]) == [1, 0, 1]


def test_a_moved_folder_is_told_by_its_images(tiny_coco) -> None:
    shutil.rmtree(tiny_coco.images)
    tiny_coco.images.mkdir()
    with pytest.raises(DataError, match="none of its 6 image files exists"):
        build_dataset([coco_source(tiny_coco)])


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
