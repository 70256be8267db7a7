"""Detection sources of a run file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import usable_indices
from resdet.data.sources.detection import build_dataset
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


def test_one_source_is_not_numbered() -> None:
    with pytest.raises(ConfigError, match=r"option 'data.val.root' must name a folder, got ''"):
        build_dataset([DetectionSourceConfig()], option="data.val")


def test_real_voc_lists_joined(shared_data: Path) -> None:
    root = str(shared_data / "kangaroo_voc")
    joined = build_dataset([DetectionSourceConfig("voc", root, split=split) for split in ("train", "val")])
    assert (len(joined), joined.names) == (163, ("kangaroo",))


def test_a_moved_folder_is_told_by_its_images(tiny_coco) -> None:
    shutil.rmtree(tiny_coco.images)
    tiny_coco.images.mkdir()
    with pytest.raises(DataError, match="none of its 6 image files exists"):
        build_dataset([coco_source(tiny_coco)])
