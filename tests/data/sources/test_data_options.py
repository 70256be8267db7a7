"""Options that name files, folders and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.config.schema import ClassificationSourceConfig, DetectionSourceConfig, LocalizationSourceConfig
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.sources.detection import build_dataset
from resdet.data.sources.localization import build_localization_dataset
from resdet.data.sources.options import existing_file, is_file, is_folder, no_list
from resdet.errors import ConfigError

NOWHERE = ["", "none", "~nobody at all/x", "x" * 300, "nul\0"]


@pytest.mark.parametrize("value", NOWHERE)
def test_what_is_not_there(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_file(value)
    assert not is_folder(value)
    assert no_list("--split", value, tmp_path) == [f"--split must name a list of {tmp_path}, got {value!r}"]
    with pytest.raises(ConfigError) as caught:
        existing_file("data.pca", value)
    assert caught.value.problems == (f"option 'data.pca' must name a file, got {value!r}",)


@pytest.mark.parametrize("value", NOWHERE)
def test_a_root_that_is_not_there(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for build in (
        lambda: build_dataset([DetectionSourceConfig("voc", value, split="x")]),
        lambda: build_classification_dataset(ClassificationSourceConfig("folder", value)),
        lambda: build_localization_dataset(LocalizationSourceConfig("tiny_imagenet", value)),
    ):
        with pytest.raises(ConfigError) as caught:
            build()
        assert caught.value.problems == (f"option 'data.train.root' must name a folder, got {value!r}",)


def test_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "val.txt").touch()
    assert (is_file("~/lists"), is_folder("~/lists")) == (False, True)
    assert (is_file("~/lists/val.txt"), is_folder("~/lists/val.txt")) == (True, False)
    assert existing_file("data.pca", "~/lists/val.txt") == tmp_path / "lists" / "val.txt"
    assert no_list("--split", "val", tmp_path / "lists") == []
    (problem,) = no_list("--split", "vla", tmp_path / "lists")
    assert problem.endswith("got 'vla' (did you mean 'val'?)")
    (problem,) = no_list("--split", "", tmp_path / "lists")
    assert problem.endswith("got '' (known: val)")
