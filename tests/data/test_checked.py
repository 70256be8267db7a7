"""Every data set of a run file, read once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resdet.config.schema import (
    ClassificationDataConfig,
    ClassificationSourceConfig,
    DetectionDataConfig,
    DetectionSourceConfig,
)
from resdet.data.checked import checked, sources_of
from resdet.errors import ConfigError, DataError


@pytest.fixture
def source(tiny_coco) -> DetectionSourceConfig:
    return DetectionSourceConfig("coco", str(tiny_coco.images), str(tiny_coco.annotations))


def test_the_sources_of_a_data_section_by_their_options(source: DetectionSourceConfig) -> None:
    data = DetectionDataConfig(train=[source, source], val=source, names=["a", "b"])
    assert sources_of(data) == (["a", "b"], {"data.train[0]": source, "data.train[1]": source, "data.val": source})
    train = ClassificationSourceConfig("folder", "there")
    assert sources_of(ClassificationDataConfig(train=train)) == ((), {"data.train": train})


def test_each_data_set_is_given_before_its_images_are_decoded(tiny_coco, source: DetectionSourceConfig) -> None:
    next(Path(tiny_coco.images).iterdir()).write_bytes(b"")
    found = checked({"first": source, "second": source})
    assert [(option, len(dataset)) for option, dataset in (next(found), next(found))] == [("first", 6), ("second", 6)]
    with pytest.raises(DataError) as caught:
        next(found)
    assert len(caught.value.problems) == 2  # one image, of both
    assert all("the file is empty" in problem for problem in caught.value.problems)


def test_the_first_source_s_classes_are_those_of_all(source: DetectionSourceConfig, tmp_path: Path) -> None:
    content = json.loads(Path(source.annotations).read_text())
    one, two = content["categories"]
    one["name"], two["name"] = two["name"], one["name"]
    (tmp_path / "swapped.json").write_text(json.dumps(content))
    other = DetectionSourceConfig("coco", source.root, str(tmp_path / "swapped.json"))
    ((_, alone),) = checked({"alone": other})
    (_, first), (_, second) = checked({"first": source, "second": other})
    assert alone.names != first.names == second.names
    found = checked({"first": source}, ["only"])
    with pytest.raises(DataError, match="is not among the classes asked for"):
        list(found)


def test_a_wrong_option_comes_first_and_the_rest_is_told_too(tiny_coco, source: DetectionSourceConfig, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    sources = {
        "first": DetectionSourceConfig("coco", str(tiny_coco.images), str(broken)),
        "second": DetectionSourceConfig("coco", str(tmp_path / "gone")),
        "third": source,
    }
    found = checked(sources)
    assert next(found)[0] == "third"
    with pytest.raises(ConfigError) as caught:
        next(found)
    wrong, bad = caught.value.problems
    assert wrong.startswith("option 'second.root' must name a folder")
    assert "broken.json" in bad
