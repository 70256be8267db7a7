"""Analyses that compare whole training runs: ``resdet analyze degradation`` and ``shortcuts``."""

from __future__ import annotations

import argparse

from resdet.analysis.variants import Train, network_variants, read_runs, shortcut_variants, train_variants
from resdet.commands.common import print_results, run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.errors import ConfigError
from resdet.report.analyses import degradation_analysis, shortcut_analysis
from resdet.report.analysis_files import Analysis
from resdet.training.budget import budgeted
from resdet.training.how import How
from resdet.training.train import train_config


def analyze_degradation(args: argparse.Namespace) -> Analysis:
    """Train ``--networks`` (or read ``--runs``), and compare training and test errors."""
    if args.runs:
        return degradation_analysis(read_runs(args.runs))
    return degradation_analysis(train_variants(network_variants(_config(args), args.networks), trainer(args.device)))


def analyze_shortcuts(args: argparse.Namespace) -> Analysis:
    """Train the config's network with every shortcut option (or read ``--runs``), and compare them."""
    if not args.runs:
        return shortcut_analysis(train_variants(shortcut_variants(_config(args)), trainer(args.device)))
    nets = read_runs(args.runs)
    if len({net.layers for net in nets.values()}) > 1:
        raise ConfigError(f"--runs must be of networks of one depth, got {', '.join(nets)}")
    return shortcut_analysis(nets)


def trainer(device: str) -> Train:
    """A function that trains a config, or continues its run, on ``--device``, and prints the same as ``train-cls``."""

    def train(config: ClassificationRunConfig) -> None:
        print_results(train_config(config, device, How(resume=True)).results)

    return train


def _config(args: argparse.Namespace) -> ClassificationRunConfig:
    return budgeted(run_config(args, ClassificationRunConfig), args.iterations, args.overrides)
