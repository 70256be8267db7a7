"""Analyses that compare whole training runs: ``resdet analyze degradation`` and ``shortcuts``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from resdet.analysis.layers import is_plain
from resdet.analysis.training_curves import (
    TrainedNet,
    at_budget,
    conclude_degradation,
    conclude_shortcuts,
    quick_looks,
    read_net,
)
from resdet.commands.common import print_results, run_config
from resdet.config import config_to_yaml
from resdet.config.schema import BackboneConfig, ClassificationRunConfig
from resdet.data.sources.classification import build_classification_dataset
from resdet.engine.run_folder import open_run
from resdet.errors import ConfigError
from resdet.models.registry import create_backbone
from resdet.report.analysis_files import Cell, write_analysis
from resdet.report.analysis_plots import plot_training
from resdet.training.schedule import in_iterations
from resdet.training.train import train_config

_SHORTCUTS = ("A", "B", "C", "none")


def analyze_degradation(args: argparse.Namespace) -> str:
    """Train ``--networks`` (or read ``--runs``), compare training and test errors, and return the conclusion."""
    nets = _read_runs(args.runs) if args.runs else _train_networks(args)
    conclusion = conclude_degradation(list(nets.values()))
    rows = [{"network": name, "layers": net.layers, **_numbers(net)} for name, net in nets.items()]
    _write(args.output, "degradation", rows, conclusion, nets)
    return conclusion


def analyze_shortcuts(args: argparse.Namespace) -> str:
    """Train the config's network with every shortcut option (or read ``--runs``), and return the conclusion."""
    if args.runs:
        nets = _read_runs(args.runs)
        if len({net.layers for net in nets.values()}) > 1:
            raise ConfigError(f"--runs must be of networks of one depth, got {', '.join(nets)}")
    else:
        base = budgeted(run_config(args, ClassificationRunConfig), args.iterations, args.overrides)
        nets = _train(_shortcut_variants(base), args.device)
    conclusion = conclude_shortcuts(list(nets.values()))
    rows = [{"shortcut": net.shortcut, **_numbers(net)} for net in nets.values()]
    _write(args.output, "shortcuts", rows, conclusion, nets)
    return conclusion


def budgeted(config: ClassificationRunConfig, iterations: int | None, overrides: Sequence[str]) -> ClassificationRunConfig:
    """The config with its schedule in ``iterations`` steps (None: as it is), evaluated ten times unless ``overrides`` say."""
    if iterations is None:
        return config
    images = len(build_classification_dataset(config.data.train))
    schedule = at_budget(in_iterations(config.schedule, images, config.run.batch), iterations)
    quick = quick_looks(config.run, iterations)
    kept = {key: getattr(config.run, key) for key in ("eval_every", "log_every") if _overridden(f"run.{key}", overrides)}
    return replace(config, schedule=schedule, run=replace(quick, **kept))


def trained_folder(config: ClassificationRunConfig, device: str) -> Path:
    """The run folder of a config, trained: begun, continued, or left as it is when it is finished.

    Raises:
        ConfigError: when the folder holds a run of another config.
    """
    folder = Path(config.output)
    if (folder / "metrics.json").is_file():
        with open_run(folder, config_to_yaml(config), resume=True):
            pass  # it refuses a run of another config
    else:
        print_results(train_config(config, device=device, resume=True).results)
    return folder


def network_variant(config: ClassificationRunConfig, name: str) -> ClassificationRunConfig:
    """The config with another network, in a folder of its own below the output."""
    return _variant(config, name, name=name)


def check_networks(backbones: Sequence[BackboneConfig]) -> None:
    """Refuse networks that cannot be built, all at once, before hours are spent on the first.

    Raises:
        ConfigError: with every unknown name and option out of range.
    """
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


def _train_networks(args: argparse.Namespace) -> dict[str, TrainedNet]:
    base = budgeted(run_config(args, ClassificationRunConfig), args.iterations, args.overrides)
    return _train({name: network_variant(base, name) for name in args.networks}, args.device)


def _train(variants: Mapping[str, ClassificationRunConfig], device: str) -> dict[str, TrainedNet]:
    check_networks([config.model.backbone for config in variants.values()])
    nets = {}
    for number, (name, config) in enumerate(variants.items(), 1):
        if not config.data.val.root:
            raise ConfigError("option 'data.val.root' must name the test images, got ''")
        print(f"{name} ({number} of {len(variants)}): {config.output}", file=sys.stderr)
        nets[name] = read_net(trained_folder(config, device))
    return nets


def _shortcut_variants(base: ClassificationRunConfig) -> dict[str, ClassificationRunConfig]:
    backbone = base.model.backbone
    with torch.device("meta"):
        plain = is_plain(create_backbone(backbone.name))
    if plain:
        raise ConfigError(f"analyze shortcuts needs a residual network in option 'model.backbone.name', got {backbone.name!r}")
    # a branch that starts at 0 and has no shortcut beside it would stay there
    zero = {name: backbone.zero_init_last and name != "none" for name in _SHORTCUTS}
    return {name: _variant(base, name, shortcut=name, zero_init_last=zero[name]) for name in _SHORTCUTS}


def _variant(config: ClassificationRunConfig, folder: str, **backbone: Any) -> ClassificationRunConfig:
    changed = replace(config.model, backbone=replace(config.model.backbone, **backbone))
    return replace(config, model=changed, output=str(Path(config.output) / folder))


def _read_runs(folders: Sequence[str]) -> dict[str, TrainedNet]:
    """The runs by the names of their networks; by their folders where two networks are the same."""
    nets = {folder: read_net(folder) for folder in folders}
    names = [net.name for net in nets.values()]
    return dict(zip(names, nets.values(), strict=True)) if len(set(names)) == len(names) else nets


def _numbers(net: TrainedNet) -> dict[str, Cell]:
    return {"parameters": net.parameters, "train_error": net.train_error, "test_error": net.test_error}


def _write(folder: str, name: str, rows: Sequence[Mapping[str, Cell]], conclusion: str, nets: Mapping[str, TrainedNet]) -> None:
    paths = write_analysis(folder, name, rows, conclusion, lambda png: plot_training(nets, png))
    print(f"written: {', '.join(map(str, paths))}", file=sys.stderr)


def _overridden(option: str, overrides: Sequence[str]) -> bool:
    return any(text.startswith(f"{option}=") for text in overrides)
