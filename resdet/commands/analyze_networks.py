"""Analyses of single networks: ``resdet analyze gradients``, ``responses`` and ``lesion``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from resdet.analysis.gradients import GradientProfile, conclude_gradients, measure_gradients
from resdet.analysis.layers import is_plain, weighted_layers
from resdet.analysis.lesion import LesionProfile, conclude_lesions, droppable_blocks, measure_lesions
from resdet.analysis.responses import ResponseProfile, conclude_responses, measure_responses
from resdet.commands.analyze_training import budgeted, check_networks, network_variant, trained_folder
from resdet.commands.common import run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.data.loading.batches import ClassificationBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView
from resdet.data.sources.classification import build_classification_dataset, build_mean_image, build_train_transform
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.engine.seed import seed_everything
from resdet.errors import ConfigError
from resdet.inference.device import select_device
from resdet.inference.load import is_model_file, load_foreign_classifier
from resdet.models.build import build_classifier, load_model
from resdet.models.classifier import Classifier
from resdet.report.analysis_files import Cell, write_analysis
from resdet.report.analysis_plots import plot_gradients, plot_lesions, plot_responses

_BATCHES, _IMAGES, _DRAWS = 5, 1000, 5  # what is measured on when nothing is said
_TEST_BATCH = 100


def analyze_gradients(args: argparse.Namespace) -> str:
    """Measure ``--networks`` at the start (and after training), or ``--weights``; return the conclusion."""
    config = run_config(args, ClassificationRunConfig)
    profiles = [
        GradientProfile(
            name, moment, is_plain(model.backbone), measure_gradients(model, _training_batches(config, model, args.batches))
        )
        for name, moment, model in _gradient_subjects(config, args)
    ]
    rows: list[dict[str, Cell]] = [
        {
            "network": profile.network,
            "moment": profile.moment,
            "layer": layer.layer,
            "depth": layer.depth,
            "projection": int(layer.is_projection),
            "norm": layer.norm,
            "relative_norm": layer.relative,
        }
        for profile in profiles
        for layer in profile.layers
    ]
    conclusion = conclude_gradients(profiles)
    _write(args.output, "gradients", rows, conclusion, lambda png: plot_gradients(profiles, png))
    return conclusion


def analyze_responses(args: argparse.Namespace) -> str:
    """Measure ``--networks`` untrained, or ``--weights``, on test images; return the conclusion."""
    config = run_config(args, ClassificationRunConfig)
    profiles = []
    for name, model in _subjects(config, args):
        images = (batch.images for batch in _test_batches(config, model, args.images))
        layers = measure_responses(model, images, all_convolutions=bool(args.all_convolutions))
        profiles.append(ResponseProfile(name, is_plain(model.backbone), weighted_layers(model.backbone), layers))
    rows: list[dict[str, Cell]] = [
        {"network": profile.network, "layer": layer.layer, "depth": layer.depth, "deviation": layer.deviation}
        for profile in profiles
        for layer in profile.layers
    ]
    conclusion = conclude_responses(profiles)
    _write(args.output, "responses", rows, conclusion, lambda png: plot_responses(profiles, png))
    return conclusion


def analyze_lesions(args: argparse.Namespace) -> str:
    """Measure the error of ``--weights`` without one block and without several; return the conclusion."""
    config = run_config(args, ClassificationRunConfig)
    subjects = _subjects(config, args)
    for _, model in subjects:
        droppable_blocks(model.backbone)  # refuses a network before minutes are spent on another
    draws, seed = args.draws or _DRAWS, config.run.seed
    profiles = [
        measure_lesions(name, model, _test_batches(config, model, args.images), draws=draws, seed=seed)
        for name, model in subjects
    ]
    rows = [row for profile in profiles for row in _lesion_rows(profile)]
    conclusion = conclude_lesions(profiles)
    _write(args.output, "lesion", rows, conclusion, lambda png: plot_lesions(profiles, png))
    return conclusion


def _lesion_rows(profile: LesionProfile) -> Iterator[dict[str, Cell]]:
    lesions = [((), profile.intact), *(((block,), error) for block, error in profile.single.items()), *profile.several]
    for number, (blocks, error) in enumerate(lesions):
        kind = "intact" if not blocks else "single" if number <= len(profile.single) else "random"
        yield {
            "network": profile.network,
            "kind": kind,
            "dropped": len(blocks),
            "blocks": " ".join(blocks),
            "error": error,
            "rise": error - profile.intact,
        }


def _subjects(config: ClassificationRunConfig, args: argparse.Namespace) -> list[tuple[str, Classifier]]:
    """The named networks of ``--weights``, or the untrained ones of ``--networks``, on the device."""
    device = select_device(args.device)
    if args.weights:
        found = _load_all(config, args.weights, args.networks)
    else:
        check_networks([network_variant(config, name).model.backbone for name in args.networks])
        found = [(name, _untrained(network_variant(config, name))) for name in args.networks]
    return [(name, model.to(device)) for name, model in found]


def _gradient_subjects(config: ClassificationRunConfig, args: argparse.Namespace) -> Iterator[tuple[str, str, Classifier]]:
    """Name, moment and network of everything to be measured, one after the other: training comes in between."""
    if args.weights:
        yield from ((name, "as saved", model) for name, model in _subjects(config, args))
        return
    for name, model in _subjects(config, args):
        yield name, "at the start", model
    if args.iterations:
        base, device = budgeted(config, args.iterations, args.overrides), select_device(args.device)
        for name in args.networks:
            folder = trained_folder(network_variant(base, name), args.device)
            model = _load(config, str(folder / "model.safetensors"), None)
            yield name, f"after {args.iterations} iterations", model.to(device)


def _untrained(config: ClassificationRunConfig) -> Classifier:
    """The network as training would begin with it."""
    dataset = build_classification_dataset(config.data.train)
    seed_everything(config.run.seed)
    return build_classifier(config.model, dataset.names, build_mean_image(config.data, dataset))


def _load_all(config: ClassificationRunConfig, weights: Sequence[str], networks: Sequence[str]) -> list[tuple[str, Classifier]]:
    models = [_load(config, path, networks[index] if networks else None) for index, path in enumerate(weights)]
    names = [model.backbone.spec.name for model in models]
    if len(set(names)) < len(names):  # several trainings of one network: their files tell them apart
        names = list(weights)
    return list(zip(names, models, strict=True))


def _load(config: ClassificationRunConfig, path: str, network: str | None) -> Classifier:
    """A model file's classifier; of weights without a card, the network called ``network`` (None: the config's) with them."""
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


def _training_batches(config: ClassificationRunConfig, model: Classifier, batches: int | None) -> Iterator[ClassificationBatch]:
    """The first batches of training, augmented as in training."""
    dataset = build_classification_dataset(config.data.train, model.names)
    view = ClassificationView(dataset, build_train_transform(config.data), config.run.seed)
    keys = islice(endless_batches(len(dataset), config.run.batch, config.run.seed), batches or _BATCHES)
    return train_loader(view, keys, config.data.workers)


def _test_batches(config: ClassificationRunConfig, model: Classifier, images: int | None) -> Iterator[ClassificationBatch]:
    """``images`` test images (0: all) in centre crops, spread evenly over the set: files often come sorted by class."""
    dataset = build_classification_dataset(config.data.val, model.names, option="data.val")
    wanted = min(len(dataset), _IMAGES if images is None else images or len(dataset))
    keys = [(number * len(dataset) // wanted, 0) for number in range(wanted)]
    view = ClassificationView(dataset, ClassificationTestTransform(config.data.test_short_side, config.data.crop))
    chunks = [keys[first : first + _TEST_BATCH] for first in range(0, wanted, _TEST_BATCH)]
    return train_loader(view, chunks, config.data.workers)


def _write(folder: str, name: str, rows: Sequence[Mapping[str, Cell]], conclusion: str, draw: Callable[[Path], object]) -> None:
    paths = write_analysis(folder, name, rows, conclusion, draw)
    print(f"written: {', '.join(map(str, paths))}", file=sys.stderr)
