"""Runs that differ in the network alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resdet.analysis.variants import network_variants, read_runs, shortcut_variants, train_variants, trained_folder
from resdet.config import config_to_yaml
from resdet.config.schema import BackboneConfig, ClassificationRunConfig, ClassifierConfig
from resdet.errors import ConfigError


@pytest.fixture
def config(tmp_path: Path) -> ClassificationRunConfig:
    """Of a run that has a test set."""
    config = ClassificationRunConfig(model=ClassifierConfig(BackboneConfig("cifar_resnet8", width=4)))
    config.output, config.data.val.root = str(tmp_path / "out"), str(tmp_path)
    return config


def pretend(config: ClassificationRunConfig) -> None:
    """Leave what a finished training leaves."""
    folder = Path(config.output)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config_to_yaml(config))
    (folder / "log.jsonl").write_text(json.dumps({"iteration": 1, "loss": 1.0, "error": 0.5}) + "\n")
    (folder / "metrics.json").write_text(json.dumps({"top1_error": 0.25, "per_class": {"a": {}}}))


def refuse(config: ClassificationRunConfig) -> None:
    raise AssertionError(f"{config.output} is finished, and trained again")


def test_each_network_has_a_folder_of_its_own(config: ClassificationRunConfig) -> None:
    found = network_variants(config, ["cifar_plain8", "cifar_resnet14"])
    assert [(name, each.model.backbone.name) for name, each in found.items()] == [(name, name) for name in found]
    assert [each.output for each in found.values()] == [str(Path(config.output) / name) for name in found]
    assert {(each.model.backbone.width, each.schedule == config.schedule) for each in found.values()} == {(4, True)}


def test_networks_that_cannot_be_built_are_told_together(config: ClassificationRunConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        network_variants(config, ["cifar_resnet9", "cifar_resnet8", "cifar_resnt20"])
    first, second = caught.value.problems
    assert "6n + 2" in first
    assert "cifar_resnt20" in second


def test_without_a_shortcut_no_branch_starts_at_zero(config: ClassificationRunConfig) -> None:
    config.model.backbone.zero_init_last = True
    found = {name: each.model.backbone for name, each in shortcut_variants(config).items()}
    assert {name: backbone.shortcut for name, backbone in found.items()} == {name: name for name in ("A", "B", "C", "none")}
    assert [name for name, backbone in found.items() if backbone.zero_init_last] == ["A", "B", "C"]


def test_a_plain_network_has_no_shortcuts_to_compare(config: ClassificationRunConfig) -> None:
    config.model.backbone.name = "cifar_plain8"
    with pytest.raises(ConfigError, match=r"needs a residual network in option 'model\.backbone\.name', got 'cifar_plain8'"):
        shortcut_variants(config)


def test_what_is_finished_is_read_alone(config: ClassificationRunConfig) -> None:
    variants = network_variants(config, ["cifar_plain8", "cifar_resnet8"])
    nets = train_variants(variants, pretend)
    assert {name: (net.plain, net.train_error, net.test_error) for name, net in nets.items()} == {
        "cifar_plain8": (True, 0.5, 0.25),
        "cifar_resnet8": (False, 0.5, 0.25),
    }
    assert train_variants(variants, refuse) == nets
    config.run.seed = 7
    with pytest.raises(ConfigError, match=r"option 'run\.seed' is 0 there and 7 now"):
        train_variants(network_variants(config, ["cifar_plain8"]), refuse)


def test_without_test_images_nothing_is_trained(config: ClassificationRunConfig) -> None:
    config.data.val.root = ""
    with pytest.raises(ConfigError, match=r"'data\.val\.root' must name the test images"):
        train_variants(network_variants(config, ["cifar_plain8"]), refuse)


def test_runs_are_called_by_their_networks_or_else_by_their_folders(config: ClassificationRunConfig, tmp_path: Path) -> None:
    folders = [
        str(trained_folder(each, pretend)) for each in network_variants(config, ["cifar_plain8", "cifar_resnet8"]).values()
    ]
    assert list(read_runs(folders)) == ["cifar_plain8", "cifar_resnet8"]
    config.output = str(tmp_path / "again")
    again = [folders[1], str(trained_folder(network_variants(config, ["cifar_resnet8"])["cifar_resnet8"], pretend))]
    assert list(read_runs(again)) == again
