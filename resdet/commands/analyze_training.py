"""Analyses that compare whole training runs: ``resdet analyze degradation``, ``shortcuts``, ``norm`` and ``identity``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from resdet.analysis.identity import VARIANTS, change, variant_backbone
from resdet.analysis.stability import LossCurve, train_shortly, try_rates
from resdet.analysis.subjects import first_training_batches, untrained_network
from resdet.analysis.variants import (
    Train,
    network_variants,
    norm_variants,
    of_seeds,
    read_runs,
    shortcut_variants,
    train_variants,
)
from resdet.commands.common import print_results, run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.data.loading.batches import ClassificationBatch
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
    curves = []
    for each in of_seeds(config, args.seeds or 1):
        for network in args.networks or [config.model.backbone.name]:
            variants = norm_variants(each, network)
            model = untrained_network(next(iter(variants.values())), device)
            loaded = first_training_batches(each, model, args.iterations or _STEPS)
            batches = [batch.to(device) for batch in loaded]
            for norm, variant in variants.items():
                curves += try_rates(
                    network,
                    norm,
                    each.run.seed,
                    partial(untrained_network, variant, device),
                    batches,
                    [float(rate) for rate in args.rates] or _RATES,
                    momentum=config.optimizer.momentum,
                    weight_decay=config.optimizer.weight_decay,
                )
    return norm_analysis(curves)


def analyze_identity(args: argparse.Namespace) -> Analysis:
    """Train the variants of the config's residual blocks for ``--iterations`` steps at its learning rate."""
    config, device = run_config(args, ClassificationRunConfig), select_device(args.device)
    optimizer, curves = config.optimizer, []
    backbones = {name: variant_backbone(config.model.backbone, name) for name in VARIANTS}
    for each in of_seeds(config, args.seeds or 1):
        batches: list[ClassificationBatch] = []
        for name, backbone in backbones.items():
            classifier = untrained_network(replace(each, model=replace(each.model, backbone=backbone)), device)
            if not batches:
                batches = [batch.to(device) for batch in first_training_batches(each, classifier, args.iterations or _STEPS)]
            change(classifier.backbone, name).to(device)
            losses = train_shortly(classifier, batches, optimizer.lr, optimizer.momentum, optimizer.weight_decay)
            curves.append(LossCurve(name, "batch", optimizer.lr, each.run.seed, len(classifier.names), tuple(losses)))
    return identity_analysis(curves)


def trainer(device: str) -> Train:
    """A function that trains a config, or continues its run, on ``--device``, and prints the same as ``train-cls``."""

    def train(config: ClassificationRunConfig) -> None:
        print_results(train_config(config, device, How(resume=True)).results)

    return train


def _config(args: argparse.Namespace) -> ClassificationRunConfig:
    return budgeted(run_config(args, ClassificationRunConfig), args.iterations, args.overrides)
