"""What is told of run files: every option, with the default that its task gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resdet.config import config_to_dict, load_config
from resdet.config.schema import RUN_CONFIGS
from resdet.facts.run_files import run_options

PARTS_OF_SOURCES = "data.train[0]."


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("task", RUN_CONFIGS)
def test_defaults_are_those_of_an_empty_run_file(task: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(f"task: {task}\n", encoding="utf-8")
    told = {option.name: option.default for option in run_options(task) if not option.name.startswith(PARTS_OF_SOURCES)}
    read = dict(leaves(config_to_dict(load_config(path))))
    if task == "detection":  # a list of sources, each of which has options
        assert read.pop("data.train") == []
    read["output"] = told["output"]  # the file's name
    assert told == read


def test_the_options_of_a_source_are_told_once() -> None:
    names = [option.name for option in run_options("detection")]
    assert len(names) == len(set(names))
    assert {"data.train[0].format", "data.val.format"} <= set(names)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("task", "detection"),
        ("model.rpn.nms_thresh", "0 … 1"),
        ("model.backbone.width", "0 … 65536"),
        ("model.roi.pooling", "align, align_v1, pool"),
        ("from_scratch", ""),
    ],
)
def test_choices_and_ranges(name: str, allowed: str) -> None:
    (option,) = [option for option in run_options("detection") if option.name == name]
    assert option.allowed == allowed
    assert option.text


def test_a_section_says_what_it_is() -> None:
    (option,) = [option for option in run_options("detection") if option.name == "model.rpn.min_size"]
    assert option.section == "Region proposal network."
