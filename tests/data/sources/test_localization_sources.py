"""Localization sources of a run file."""

from __future__ import annotations

from pathlib import Path

import pytest

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
