"""Analyses that compare whole training runs: ``resdet analyze degradation``, ``shortcuts``, ``norm`` and ``identity``."""

from __future__ import annotations

import argparse

from resdet.analysis.short_trainings import identity_curves, norm_curves
from resdet.analysis.variants import (
    Train,
    network_variants,
    of_seeds,
    read_runs,
    shortcut_variants,
    train_variants,
)
from resdet.commands.common import print_results, run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.errors import ConfigError
from resdet.inference.device import select_device
from resdet.report.analyses import degradation_analysis, identity_analysis, norm_analysis, shortcut_analysis
from resdet.report.analysis_files import Analysis
from resdet.training.budget import budgeted
from resdet.training.how import How
from resdet.training.train import train_config

_STEPS, _RATES = 100, (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # of analyze norm and identity


def analyze_degradation(args: argparse.Namespace) -> Analysis:
    """Train ``--networks`` (or read ``--runs``), and compare training and test errors."""
    if args.runs:
        return degradation_analysis(read_runs(args.runs))
    return degradation_analysis(train_variants(network_variants(_config(args), args.networks), trainer(args.device)))


def analyze_shortcuts(args: argparse.Namespace) -> Analysis:
    """Train the config's network with every shortcut option (or read ``--runs``), and compare them."""
    if not args.runs:
        trained = [
            train_variants(shortcut_variants(config), trainer(args.device))
            for config in of_seeds(_config(args), args.seeds or 1)
        ]
        return shortcut_analysis([net for nets in trained for net in nets.values()])
    runs = read_runs(args.runs)
    if len({net.layers for net in runs.values()}) > 1:
        raise ConfigError(f"--runs must be of networks of one depth, got {', '.join(runs)}")
    return shortcut_analysis(list(runs.values()))


def analyze_norm(args: argparse.Namespace) -> Analysis:
    """Train each network with and without BN for ``--iterations`` steps at several learning rates."""
    config, device = run_config(args, ClassificationRunConfig), select_device(args.device)
    configs, rates = of_seeds(config, args.seeds or 1), [float(rate) for rate in args.rates] or _RATES
    return norm_analysis(norm_curves(configs, args.networks, args.iterations or _STEPS, rates, device))


def analyze_identity(args: argparse.Namespace) -> Analysis:
    """Train the variants of the config's residual blocks for ``--iterations`` steps at its learning rate."""
    config, device = run_config(args, ClassificationRunConfig), select_device(args.device)
    return identity_analysis(identity_curves(of_seeds(config, args.seeds or 1), args.iterations or _STEPS, device))


def trainer(device: str) -> Train:
    """A function that trains a config, or continues its run, on ``--device``, and prints the same as ``train-cls``."""

    def train(config: ClassificationRunConfig) -> None:
        print_results(train_config(config, device, How(resume=True)).results)

    return train


def _config(args: argparse.Namespace) -> ClassificationRunConfig:
    return budgeted(run_config(args, ClassificationRunConfig), args.iterations, args.overrides)
