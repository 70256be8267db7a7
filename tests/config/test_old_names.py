"""Options under the names of earlier releases: understood, told once, and not beside the new name."""

from __future__ import annotations

import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from resdet.config import load_config
from resdet.config.old_names import NEW_NAMES, with_new_names
from resdet.config.schema import (
    DetectionRunConfig,
    DetectionTestConfig,
    LocalizerTestConfig,
    PerClassRPNConfig,
    RegionNetConfig,
    RoIConfig,
    RPNConfig,
)
from resdet.errors import ConfigError

SECTIONS = {
    "rpn": (RPNConfig, PerClassRPNConfig),
    "roi": (RoIConfig,),
    "rcnn": (RegionNetConfig,),
    "test": (DetectionTestConfig, LocalizerTestConfig),
}
# every option of an earlier release that has another name now, with a value that is not the default
OLD: dict[str, dict[str, dict[str, Any]]] = {
    "detection": {
        "rpn": {
            "batch": 31,
            "fg_iou": 0.71,
            "bg_iou": 0.31,
            "pre_nms_train": 101,
            "post_nms_train": 102,
            "pre_nms_test": 103,
            "post_nms_test": 104,
            "nms_iou": 0.61,
        },
        "roi": {"batch": 32, "fg_iou": 0.72, "bg_iou": 0.32},
        "test": {"nms_iou": 0.62},
    },
    "localization": {
        "rpn": {"batch": 34, "fg_iou": 0.74, "bg_iou": 0.34},
        "rcnn": {"fg_iou": 0.75},
        "test": {"nms_iou": 0.65},
    },
}


def written(folder: Path, name: str = "run.yaml", **values: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def problems(path: Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return caught.value.problems


@pytest.mark.parametrize("section", SECTIONS)
def test_the_new_names_are_options_and_the_old_ones_are_not(section: str) -> None:
    options = {field.name for config in SECTIONS[section] for field in fields(config)}
    assert set(NEW_NAMES[section].values()) <= options
    assert not NEW_NAMES[section].keys() & options


@pytest.mark.parametrize("task", OLD)
def test_every_old_name_in_a_run_file(tmp_path: Path, task: str) -> None:
    with pytest.warns(UserWarning, match="is now called") as caught:
        config = load_config(written(tmp_path, task=task, model=OLD[task]))
    (note,) = (str(warning.message) for warning in caught)
    assert note.startswith(f"{tmp_path / 'run.yaml'}: 'model.rpn.batch' is now called 'batch_size_per_image', ")
    for section, options in OLD[task].items():
        for old, value in options.items():
            new = NEW_NAMES[section][old]
            assert getattr(getattr(config.model, section), new) == value
            assert note.count(f"'model.{section}.{old}' is now called '{new}'") == 1


def test_other_options_keep_their_names(tmp_path: Path) -> None:
    path = written(tmp_path, task="detection", run={"batch": 3}, alternating={"rpn": {"batch": 5}}, model={"freeze_at": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = load_config(path, ["alternating.roi.batch=7", "model.test.vote_iou=0.5"])
    assert isinstance(config, DetectionRunConfig)
    assert (config.run.batch, config.alternating.rpn.batch, config.alternating.roi.batch) == (3, 5, 7)


@pytest.mark.filterwarnings("ignore:.*run.yaml")
@pytest.mark.parametrize("names", [("nms_iou", "nms_thresh"), ("nms_thresh", "nms_iou"), ("nms_iou", "nms_iou")])
def test_a_file_goes_before_its_base_whichever_name_they_use(tmp_path: Path, names: tuple[str, str]) -> None:
    base, own = names
    written(tmp_path, "base.yaml", task="detection", model={"rpn": {base: 0.1, "batch": 9}})
    path = written(tmp_path, base="base.yaml", model={"rpn": {own: 0.2}})
    with pytest.warns(UserWarning, match=r"base\.yaml: .*'model\.rpn\.batch' is now called 'batch_size_per_image'"):
        config = load_config(path)
    assert isinstance(config, DetectionRunConfig)
    assert (config.model.rpn.nms_thresh, config.model.rpn.batch_size_per_image) == (0.2, 9)


@pytest.mark.parametrize("in_file", ["nms_iou", "nms_thresh"])
@pytest.mark.parametrize("argument", ["model.rpn.nms_iou=0.6", "model.rpn={nms_iou: 0.6}", "model={rpn: {nms_iou: 0.6}}"])
@pytest.mark.filterwarnings("ignore:.*run.yaml")
def test_an_argument_goes_before_the_file_whichever_name_they_use(tmp_path: Path, in_file: str, argument: str) -> None:
    path = written(tmp_path, task="detection", model={"rpn": {in_file: 0.2}})
    with pytest.warns(UserWarning, match="^argument 'model.*': 'model.rpn.nms_iou' is now called 'nms_thresh'$"):
        config = load_config(path, [argument])
    assert isinstance(config, DetectionRunConfig)
    assert config.model.rpn.nms_thresh == 0.6


@pytest.mark.filterwarnings("ignore:.*is now called")
def test_both_names_are_too_many(tmp_path: Path) -> None:
    path = written(
        tmp_path, task="detection", model={"rpn": {"nms_iou": 0.6, "nms_thresh": 0.6, "batch": 9}, "roi": {"bach": 1}}
    )
    one, other = problems(path)
    assert one == f"{path}: option 'model.rpn.nms_iou' is the old name of 'model.rpn.nms_thresh', give only the new one"
    assert "unknown option 'model.roi.bach'" in other
    (message,) = problems(written(tmp_path, task="detection"), "model.test.nms_iou=0.3", "model.test.nms_thresh=0.4")
    assert message == "option 'model.test.nms_iou' is the old name of 'model.test.nms_thresh', give one argument for both"


@pytest.mark.parametrize("model", [None, 3, [], {"rpn": None}, {"rpn": 3}, {"test": ["nms_iou"]}])
def test_what_is_no_section_is_left_to_the_checks(model: Any) -> None:
    assert with_new_names({"model": model}) == ({"model": model}, [])


def test_an_old_name_in_a_section_that_never_had_it(tmp_path: Path) -> None:
    (message,) = problems(written(tmp_path, task="detection", model={"roi": {"nms_iou": 0.5}}))
    assert message.startswith(f"{tmp_path / 'run.yaml'}: unknown option 'model.roi.nms_iou'")


def test_what_was_given_is_not_changed() -> None:
    given = {"model": {"test": {"nms_iou": 0.5}}}
    assert with_new_names(given)[0] == {"model": {"test": {"nms_thresh": 0.5}}}
    assert given == {"model": {"test": {"nms_iou": 0.5}}}
