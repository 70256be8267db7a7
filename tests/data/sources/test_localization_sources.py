"""Localization sources of a run file."""

from __future__ import annotations

from pathlib import Path

import pytest
from localized_files import content

from resdet.config.schema import LocalizationDataConfig, LocalizationSourceConfig
from resdet.data.sources.localization import build_localization_dataset, build_localization_transform
from resdet.data.transforms.localization import LocalizationTrainTransform
from resdet.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"root": ""}, r"option 'data.val.root' must name a folder, got ''"),
        ({"format": "coco"}, "option 'data.val.annotations' must name a file, got ''"),
        ({"annotations": "no"}, "option 'data.val.annotations' must name a folder of xml files, got 'no'"),
        ({"solution": "no", "blacklist": "none"}, "solution' must name a file, got 'no'\noption 'data.val.blacklist' must"),
        ({"format": "coco", "root": "no", "annotations": "no"}, "option 'data.val.root' must name a folder, got 'no'"),
    ],
)
def test_options_that_name_nothing(tmp_path: Path, values: dict, message: str) -> None:
    source = LocalizationSourceConfig(**{"root": str(tmp_path), **values})
    with pytest.raises(ConfigError, match=message):
        build_localization_dataset(source, option="data.val")


def test_the_training_transform_of_a_data_section() -> None:
    data = LocalizationDataConfig(crop=40, short_side=[48, 64], hflip=0.25, lighting=0.2)
    assert build_localization_transform(data) == LocalizationTrainTransform(40, (48, 64), 0.25, 0.2)


def test_the_largest_object_says_the_class(tiny_coco: object) -> None:
    content_of = tiny_coco.read()
    for entry in content_of["annotations"]:
        if entry["image_id"] == 2 and entry["category_id"] == 7:
            entry["bbox"] = [20.0, 20.0, 18.0, 19.0]
        if entry["iscrowd"]:
            entry["bbox"] = [0.0, 0.0, 40.0, 40.0]
    first = next(entry for entry in content_of["annotations"] if entry["image_id"] == 1 and entry["category_id"] == 1)
    content_of["annotations"].append({**first, "id": 99, "bbox": [1.0, 1.0, 2.0, 3.0]})
    tiny_coco.write(content_of)
    source = LocalizationSourceConfig("coco", str(tiny_coco.images), annotations=str(tiny_coco.annotations))
    with pytest.warns(UserWarning, match="left out") as told:
        dataset = build_localization_dataset(source)
    texts = [str(warning.message).removeprefix(f"{tiny_coco.annotations}: ") for warning in told]
    assert texts == [
        "1 of 6 images have no object that says their class, and are left out",
        "5 objects of another class than their image's are left out",
    ]
    found = content(dataset)
    assert list(found) == [f"{number:06d}" for number in (1, 2, 3, 4, 6)]
    # the two of the image's class; a disk of 18 x 19 against a box of 16 x 20; a crowd does not count
    assert found["000001"] == ("box", [[5, 6, 21, 26], [1, 1, 3, 4]])
    assert found["000002"] == ("disk", [[20, 20, 38, 39]])
    assert found["000006"] == ("box", [[10, 6, 26, 26]])
