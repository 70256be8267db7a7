"""Options of data sources that their formats do not have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from resdet.config import load_config
from resdet.config.data import ClassificationSourceConfig, DetectionSourceConfig
from resdet.config.localization_data import LocalizationSourceConfig
from resdet.errors import ConfigError

SOURCES = {
    "detection": DetectionSourceConfig,
    "classification": ClassificationSourceConfig,
    "localization": LocalizationSourceConfig,
}
# what each format reads, by the tables of docs/data.md, docs/classification.md and docs/localization.md
READ = {
    "coco": {"annotations", "keep_difficult"},
    "voc": {"split", "keep_difficult"},
    "yolo": {"annotations", "split"},
    "imagenet_det": {"split"},
    "label_studio": {"annotations"},
    "cvat": {"annotations"},
    "via": {"annotations"},
    "csv": {"annotations"},
    "hf_objects": {"annotations"},
    "labelme": set(),
    "folder": set(),
    "list": {"annotations"},
    "imagenet": {"annotations", "split"},
    "shards": {"split"},
    "cifar10": {"split"},
    "cifar100": {"split"},
    "imagenet_loc": {"annotations", "split", "solution", "blacklist"},
    "tiny_imagenet": {"split"},
}
LOCALIZATION_COCO = {"annotations"}


def problems(tmp_path: Path, task: str, train: Any, val: Any) -> tuple[str, ...]:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"task": task, "data": {"train": train, "val": val}}))
    try:
        load_config(path)
    except ConfigError as error:
        return tuple(problem.removeprefix(f"{path}: ") for problem in error.problems)
    return ()


@pytest.mark.parametrize("task", SOURCES)
def test_every_option_of_every_format(task: str, tmp_path: Path) -> None:
    fields = {field.name: field for field in dataclasses.fields(SOURCES[task])}
    for form in fields["format"].metadata["choices"]:
        read = LOCALIZATION_COCO if (task, form) == ("localization", "coco") else READ[form]
        for name, field in fields.items():
            if not field.metadata["formats"]:
                continue
            assert (form in field.metadata["formats"]) == (name in read), (form, name)
            value = field.metadata["choices"][-1] if field.metadata["choices"] else True if field.default is False else "x"
            source = {"format": form, "root": "r", name: value}
            told = problems(tmp_path, task, [source] if task == "detection" else source, source)
            # an option that always has a value may have it from a base, for another format
            expected = 0 if name in read or field.default else 2
            assert len(told) == expected, (form, name, told)


def test_all_are_told_at_once(tmp_path: Path) -> None:
    train = [{"format": "voc", "root": "r", "split": "x"}, {"format": "yolo", "root": "r", "keep_difficult": True}]
    val = {"format": "imagenet_det", "root": "r", "split": "val", "annotations": "a.json", "keep_difficult": True}
    listed = [form for form in READ if "annotations" in READ[form] and form not in ("list", "imagenet", "imagenet_loc")]
    assert problems(tmp_path, "detection", train, val) == (
        "option 'data.train[1].keep_difficult' is for the formats voc, coco, not yolo; got True",
        f"option 'data.val.annotations' is for the formats {', '.join(listed)}, not imagenet_det; got 'a.json'",
        "option 'data.val.keep_difficult' is for the formats voc, coco, not imagenet_det; got True",
    )


@pytest.mark.parametrize(
    "given",
    [
        ["data.train[0].split=val", "data.train[0].format=yolo"],
        ["data.train=[{root: r}]", "data.train[0].split=val", "data.train[0].format=yolo"],
        ["data.train=[{root: r}]", "data.train[0].format=yolo", "data.train[0].split=val"],
    ],
)
def test_a_format_comes_before_the_other_options_of_its_source_alone(given: list[str], configs: Path) -> None:
    source = load_config(configs / "voc07_r101.yaml", given).data.train[0]
    assert (source.format, source.split) == ("yolo", "val")


def test_a_value_of_the_base_can_be_emptied(configs: Path) -> None:
    config = load_config(configs / "coco_r50.yaml", ["data.val.annotations="])
    assert (config.data.val.format, config.data.val.annotations) == ("coco", "")
