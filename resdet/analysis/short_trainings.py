"""Short trainings of the variants of a config's network: what ``resdet analyze norm`` and ``identity`` compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from resdet.analysis.identity import VARIANTS, change, variant_backbone
from resdet.analysis.stability import LossCurve, train_shortly, try_rates
from resdet.analysis.subjects import first_training_batches, untrained_network
from resdet.analysis.variants import norm_variants
from resdet.config.schema import ClassificationRunConfig
from resdet.data.loading.batches import ClassificationBatch
from resdet.models.classifier import Classifier


def norm_curves(
    configs: Sequence[ClassificationRunConfig],
    networks: Sequence[str],
    steps: int,
    rates: Sequence[float],
    device: torch.device,
) -> list[LossCurve]:
    """The curves of each network with BN and without, for every seed and learning rate.

    Args:
        configs: a config for each seed.
        networks: names of the backbone registry; none: the config's.
        steps: of each training.
        rates: the learning rates.
        device: where they are trained.

    Raises:
        ConfigError, DataError: for a network that does not exist, and for the training images.
    """
    curves = []
    for config in configs:
        for network in networks or [config.model.backbone.name]:
            variants = norm_variants(config, network)
            batches = _batches(config, untrained_network(next(iter(variants.values())), device), steps, device)
            for norm, variant in variants.items():
                curves += try_rates(
                    network,
                    norm,
                    config.run.seed,
                    partial(untrained_network, variant, device),
                    batches,
                    rates,
                    momentum=config.optimizer.momentum,
                    weight_decay=config.optimizer.weight_decay,
                )
    return curves


def identity_curves(configs: Sequence[ClassificationRunConfig], steps: int, device: torch.device) -> list[LossCurve]:
    """The curves of all variants of the config's residual blocks, for every seed, at the config's learning rate.

    Args:
        configs: a config for each seed.
        steps: of each training.
        device: where they are trained.

    Raises:
        ConfigError, DataError: for a network that has no such blocks, and for the training images.
    """
    curves = []
    for config in configs:
        backbones = {name: variant_backbone(config.model.backbone, name) for name in VARIANTS}
        batches: list[ClassificationBatch] = []
        for name, backbone in backbones.items():
            classifier = untrained_network(replace(config, model=replace(config.model, backbone=backbone)), device)
            batches = batches or _batches(config, classifier, steps, device)
            change(classifier.backbone, name).to(device)
            optimizer = config.optimizer
            losses = train_shortly(classifier, batches, optimizer.lr, optimizer.momentum, optimizer.weight_decay)
            curves.append(LossCurve(name, "batch", optimizer.lr, config.run.seed, len(classifier.names), tuple(losses)))
    return curves


def _batches(
    config: ClassificationRunConfig, classifier: Classifier, steps: int, device: torch.device
) -> list[ClassificationBatch]:
    return [batch.to(device) for batch in first_training_batches(config, classifier, steps)]
