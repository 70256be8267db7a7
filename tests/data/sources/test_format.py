"""What the options of a source must name, by rules that all formats share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from resdet.config.schema import (
    ClassificationSourceConfig,
    DetectionSourceConfig,
    LocalizationSourceConfig,
)
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.sources.detection import build_dataset
from resdet.data.sources.format import Format, names_file, names_folder, names_list, names_split
from resdet.data.sources.localization import build_localization_dataset
from resdet.errors import ConfigError, DataError

BUILDERS = {
    DetectionSourceConfig: lambda source: build_dataset([source]),
    ClassificationSourceConfig: build_classification_dataset,
    LocalizationSourceConfig: build_localization_dataset,
}


@pytest.mark.parametrize("kind", BUILDERS, ids=lambda kind: kind.__name__)
def test_every_format_of_a_run_file_has_a_reader(kind: type, tmp_path: Path) -> None:
    """An empty folder is bad data, or it lacks what an option must name; it never is a format that nobody reads."""
    (form,) = [field for field in dataclasses.fields(kind) if field.name == "format"]
    for name in form.metadata["choices"]:
        with pytest.raises((ConfigError, DataError)):
            BUILDERS[kind](kind(format=name, root=str(tmp_path)))
        with pytest.raises(ConfigError, match=r"option 'data.train.root' must name a folder, got 'none'"):
            BUILDERS[kind](kind(format=name, root="none"))


def told(tmp_path: Path, *rules: object, **options: str) -> list[str]:
    (tmp_path / "here.txt").touch()
    (tmp_path / "folder").mkdir(exist_ok=True)
    return Format(None, rules).missing(DetectionSourceConfig(root=str(tmp_path), **options), "data.val")


def test_rules(tmp_path: Path) -> None:
    here, folder = str(tmp_path / "here.txt"), str(tmp_path / "folder")
    file, given = names_file("annotations"), names_file("annotations", needed=False)
    assert told(tmp_path, file, given, annotations=here) == []
    assert told(tmp_path, file) == ["option 'data.val.annotations' must name a file, got ''"]
    assert told(tmp_path, given) == []
    for rule in (file, given):
        assert told(tmp_path, rule, annotations=folder) == [f"option 'data.val.annotations' must name a file, got {folder!r}"]
    assert told(tmp_path, names_file("annotations", otherwise="here.txt")) == []
    lacking = str(tmp_path / "there.txt")
    assert told(tmp_path, names_file("annotations", otherwise="there.txt")) == [
        f"option 'data.val.annotations' must name a file, got {lacking!r}"
    ]
    xml = names_folder("annotations", "a folder of xml files")
    assert told(tmp_path, xml) == told(tmp_path, xml, annotations=folder) == []
    assert told(tmp_path, xml, annotations=here) == [
        f"option 'data.val.annotations' must name a folder of xml files, got {here!r}"
    ]
    assert told(tmp_path, names_list(), split="here") == []
    assert told(tmp_path, names_list(), split="her") == [
        f"option 'data.val.split' must name a list of {tmp_path}, got 'her' (did you mean 'here'?)"
    ]
    either = names_list(otherwise=lambda root, split: (root / split).is_dir())
    assert told(tmp_path, either) == told(tmp_path, either, split="here") == told(tmp_path, either, split=".") == []
    assert told(tmp_path, either, split="her") == told(tmp_path, names_list(), split="her")
    assert told(tmp_path, names_split("train", "val"), split="val") == []
    assert told(tmp_path, names_split("train", "val"), split="test") == [
        "option 'data.val.split' of format coco must be one of train, val, got 'test'"
    ]


def test_what_every_rule_says_comes_together(tmp_path: Path) -> None:
    rules = (names_file("annotations"), names_split("train"), names_file("images", needed=False))
    assert len(told(tmp_path, *rules, split="x", images="none")) == 3
    # without a root there is nothing else to say
    source = DetectionSourceConfig(root="none", split="x")
    assert Format(None, rules).missing(source, "data.val") == ["option 'data.val.root' must name a folder, got 'none'"]


def test_only_what_lacks_nothing_is_read(tmp_path: Path) -> None:
    read: list[tuple[object, ...]] = []
    form = Format(lambda *arguments: read.append(arguments), (names_split("train"),))
    source = DetectionSourceConfig(root=str(tmp_path), split="val")
    with pytest.raises(ConfigError):
        form.build(source, ["cat"], "data.val")
    assert not read
    source.split = "train"
    form.build(source, ["cat"], "data.val")
    assert read == [(source, tmp_path, ["cat"])]
