"""Runs that differ only in the network: one config for each network or shortcut, each with its own output folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from resdet.analysis.layers import is_plain
from resdet.analysis.training_curves import TrainedNet, read_net
from resdet.config import config_to_yaml
from resdet.config.schema import BackboneConfig, ClassificationRunConfig
from resdet.engine.run_folder import open_run
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone

Train = Callable[[ClassificationRunConfig], object]  # begins or continues the run of a config, and finishes it

_log = logging.getLogger(__name__)
_SHORTCUTS = ("A", "B", "C", "none")


def network_variants(config: ClassificationRunConfig, names: Sequence[str]) -> dict[str, ClassificationRunConfig]:
    """The config with each of these networks, by name.

    Raises:
        ConfigError: with every unknown name and option out of range.
    """
    variants = {name: _variant(config, name, name=name) for name in names}
    _check([variant.model.backbone for variant in variants.values()])
    return variants


def shortcut_variants(config: ClassificationRunConfig) -> dict[str, ClassificationRunConfig]:
    """The config with each shortcut option, by option.

    Raises:
        ConfigError: for a plain network, and for options out of range.
    """
    backbone = config.model.backbone
    with torch.device("meta"):
        plain = is_plain(create_backbone(backbone.name))
    if plain:
        raise ConfigError(f"analyze shortcuts needs a residual network in option 'model.backbone.name', got {backbone.name!r}")
    # without a shortcut, a branch that starts at 0 would stay at 0
    zero = {name: backbone.zero_init_last and name != "none" for name in _SHORTCUTS}
    variants = {name: _variant(config, name, shortcut=name, zero_init_last=zero[name]) for name in _SHORTCUTS}
    _check([variant.model.backbone for variant in variants.values()])
    return variants


def norm_variants(config: ClassificationRunConfig, network: str) -> dict[str, ClassificationRunConfig]:
    """The config's network with BN, without it, and where it has shortcuts, without it and with Fixup's start, by norm.

    Raises:
        ConfigError: for an unknown network, and for options out of range.
    """
    with torch.device("meta"):
        plain = is_plain(create_backbone(network))
    norms = ("batch", "none") if plain else ("batch", "none", "fixup")
    variants = {name: _variant(config, name, name=network, norm=name) for name in norms}
    _check([variant.model.backbone for variant in variants.values()])
    return variants


def of_seeds(config: ClassificationRunConfig, count: int) -> list[ClassificationRunConfig]:
    """The config with the seeds from its own on, each in a folder of its own; the config as it is where one is asked for."""
    if count == 1:
        return [config]
    folders = {seed: str(Path(config.output) / f"seed{seed}") for seed in range(config.run.seed, config.run.seed + count)}
    return [replace(config, run=replace(config.run, seed=seed), output=folder) for seed, folder in folders.items()]


def train_variants(variants: Mapping[str, ClassificationRunConfig], train: Train) -> dict[str, TrainedNet]:
    """Train one config after the other and read the results; finished runs are only read.

    Raises:
        ConfigError: without test images, or when a folder holds a run of another config.
        DataError, TrainingError, Interrupted: errors of ``train``; files written so far stay.
    """
    nets = {}
    for number, (name, config) in enumerate(variants.items(), 1):
        if not config.data.val.root:
            raise ConfigError("option 'data.val.root' must name the test images, got ''")
        _log.info("%s (%d of %d): %s", name, number, len(variants), config.output)
        nets[name] = read_net(trained_folder(config, train))
    return nets


def trained_folder(config: ClassificationRunConfig, train: Train) -> Path:
    """The run folder of a config, trained: begun, continued, or left as it is when it is finished.

    Raises:
        ConfigError: when the folder holds a run of another config.
    """
    folder = Path(config.output)
    if (folder / "metrics.json").is_file():
        with open_run(folder, config_to_yaml(config), resume=True):
            pass  # it refuses a run of another config
    else:
        train(config)
    return folder


def read_runs(folders: Sequence[str]) -> dict[str, TrainedNet]:
    """Finished runs, keyed by the names of their networks, or by folder when two networks are the same.

    Raises:
        ConfigError, DataError: as ``read_net`` does.
    """
    nets = {folder: read_net(folder) for folder in folders}
    names = [net.name for net in nets.values()]
    return dict(zip(names, nets.values(), strict=True)) if len(set(names)) == len(names) else nets


def _check(backbones: Sequence[BackboneConfig]) -> None:
    """Raise a ConfigError with all networks that cannot be built, before hours go into training the first."""
    problems: list[str] = []
    for backbone in backbones:
        try:
            with torch.device("meta"):
                create_backbone(
                    backbone.name, shortcut=backbone.shortcut, width=backbone.width, zero_init_last=backbone.zero_init_last
                )
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def _variant(config: ClassificationRunConfig, folder: str, **backbone: Any) -> ClassificationRunConfig:
    changed = replace(config.model, backbone=replace(config.model.backbone, **backbone))
    return replace(config, model=changed, output=str(Path(config.output) / folder))
