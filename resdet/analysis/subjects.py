"""Builds the networks to measure, from a run file or weights files, and loads the images for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from resdet.analysis.variants import network_variants
from resdet.config.schema import ClassificationRunConfig
from resdet.data.loading.batches import ClassificationBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView
from resdet.data.sources.classification import build_classification_dataset, build_mean_image, build_train_transform
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.engine.seed import seed_everything
from resdet.errors import ConfigError
from resdet.inference.load import is_model_file, load_foreign_classifier
from resdet.models.build import build_classifier, load_model
from resdet.models.classifier import Classifier

_TEST_BATCH = 100


def untrained_networks(
    config: ClassificationRunConfig, names: Sequence[str], device: torch.device
) -> list[tuple[str, Classifier]]:
    """Networks of the backbone registry, by name, as training with the config would begin with each.

    Raises:
        ConfigError: with every unknown name and option out of range.
        DataError: with every problem of the training data, which gives their classes and mean image.
    """
    variants = network_variants(config, names)
    return [(name, untrained_network(variant, device)) for name, variant in variants.items()]


def saved_networks(
    config: ClassificationRunConfig, weights: Sequence[str], networks: Sequence[str], device: torch.device
) -> list[tuple[str, Classifier]]:
    """The classifiers in weights files, keyed by the names of their networks, or by file when two networks are the same.

    Args:
        config: supplies the options of the network and the class names for weights without a card.
        weights: model files, or weights without a card.
        networks: the network of each file; when there are none, the model file's own, or else the config's.
        device: the device of the classifiers.

    Raises:
        ConfigError: a file that is missing, holds another network or a detector, or is of other classes than the test images.
        DataError: a file that cannot be read.
    """
    models = [load_network(config, path, networks[index] if networks else None) for index, path in enumerate(weights)]
    names = [model.backbone.spec.name for model in models]
    if len(set(names)) < len(names):  # several trainings of one network are told apart by their files
        names = list(weights)
    return [(name, model.to(device)) for name, model in zip(names, models, strict=True)]


def load_network(config: ClassificationRunConfig, path: str | Path, network: str | None = None) -> Classifier:
    """One classifier of ``saved_networks``, on the CPU; raises the same errors."""
    if not is_model_file(path):
        backbone = replace(config.model.backbone, name=network or config.model.backbone.name)
        names = build_classification_dataset(config.data.val, option="data.val").names
        return load_foreign_classifier(path, replace(config.model, backbone=backbone), names)
    model, _ = load_model(path)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{path}: holds a detector; this analysis is of classifiers")
    if network not in (None, model.backbone.spec.name):
        raise ConfigError(f"{path}: holds {model.backbone.spec.name}, --networks says {network}")
    return model


def first_training_batches(config: ClassificationRunConfig, model: Classifier, batches: int) -> Iterator[ClassificationBatch]:
    """The first ``batches`` of training, augmented as in training.

    Raises:
        ConfigError, DataError: with every problem of the training data.
    """
    dataset = build_classification_dataset(config.data.train, model.names)
    view = ClassificationView(dataset, build_train_transform(config.data), config.run.seed)
    keys = islice(endless_batches(len(dataset), config.run.batch, config.run.seed), batches)
    return train_loader(view, keys, config.data.workers)


def spread_test_batches(config: ClassificationRunConfig, model: Classifier, images: int) -> Iterator[ClassificationBatch]:
    """``images`` test images (0: all) in centre crops, spread evenly over the set, because files are often sorted by class.

    Raises:
        ConfigError, DataError: with every problem of the test data.
    """
    dataset = build_classification_dataset(config.data.val, model.names, option="data.val")
    wanted = min(len(dataset), images or len(dataset))
    keys = [(number * len(dataset) // wanted, 0) for number in range(wanted)]
    view = ClassificationView(dataset, ClassificationTestTransform(config.data.test_short_side, config.data.crop_in_testing))
    chunks = [keys[first : first + _TEST_BATCH] for first in range(0, wanted, _TEST_BATCH)]
    return train_loader(view, chunks, config.data.workers)


def one_batch(batches: Iterator[ClassificationBatch]) -> ClassificationBatch:
    """All batches as one; a ValueError when there is none."""
    parts = list(batches)
    if not parts:
        raise ValueError("one_batch needs at least one batch, got none")
    images, labels = torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
    return ClassificationBatch(images, labels, tuple(path for part in parts for path in part.paths))


def untrained_network(config: ClassificationRunConfig, device: torch.device) -> Classifier:
    """The network of a config as training would begin with it, with shortcuts and norm as the config says."""
    dataset = build_classification_dataset(config.data.train)
    seed_everything(config.run.seed)
    return build_classifier(config.model, dataset.names, build_mean_image(config.data, dataset)).to(device)
