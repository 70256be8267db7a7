"""Analyses of single networks: ``resdet analyze gradients``, ``responses`` and ``lesion``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from resdet.analysis.differences import layer_differences
from resdet.analysis.gradients import profile_gradients
from resdet.analysis.lesion import droppable_blocks, measure_lesions
from resdet.analysis.paths import profile_paths
from resdet.analysis.permutation import measure_permutations, movable_blocks
from resdet.analysis.responses import profile_responses
from resdet.analysis.subjects import (
    first_training_batches,
    load_network,
    one_batch,
    saved_networks,
    spread_test_batches,
    untrained_networks,
)
from resdet.analysis.variants import network_variants, trained_folder
from resdet.commands.analyze_training import trainer
from resdet.commands.common import run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.inference.device import select_device
from resdet.models.classifier import Classifier
from resdet.report.analyses import (
    difference_analysis,
    gradient_analysis,
    lesion_analysis,
    path_analysis,
    permutation_analysis,
    response_analysis,
)
from resdet.report.analysis_files import Analysis
from resdet.training.budget import budgeted

# the amounts to measure with by default
_BATCHES, _IMAGES, _DRAWS, _PATH_IMAGES, _PATHS, _COMPARED = 5, 1000, 5, 100, 20, 4


def analyze_gradients(args: argparse.Namespace) -> Analysis:
    """Measure ``--networks`` at the start (and after training), or ``--weights``."""
    config = run_config(args, ClassificationRunConfig)
    profiles = [
        profile_gradients(name, moment, model, first_training_batches(config, model, args.batches or _BATCHES))
        for name, moment, model in _moments(config, args)
    ]
    return gradient_analysis(profiles)


def analyze_responses(args: argparse.Namespace) -> Analysis:
    """Measure ``--networks`` untrained, or ``--weights``, on test images."""
    config = run_config(args, ClassificationRunConfig)
    profiles = []
    for name, model in _networks(config, args):
        images = (batch.images for batch in spread_test_batches(config, model, _images(args)))
        profiles.append(profile_responses(name, model, images, all_convolutions=bool(args.all_convolutions)))
    return response_analysis(profiles)


def analyze_lesions(args: argparse.Namespace) -> Analysis:
    """Measure the error of ``--weights`` without one block and without several."""
    config = run_config(args, ClassificationRunConfig)
    networks = _networks(config, args)
    for _, model in networks:
        droppable_blocks(model.backbone)  # refuses a network before minutes go into measuring another
    draws, seed = args.draws or _DRAWS, config.run.seed
    profiles = [
        measure_lesions(name, model, spread_test_batches(config, model, _images(args)), draws=draws, seed=seed)
        for name, model in networks
    ]
    return lesion_analysis(profiles)


def analyze_permutations(args: argparse.Namespace) -> Analysis:
    """Measure the error of ``--weights`` with blocks in other places."""
    config = run_config(args, ClassificationRunConfig)
    networks = _networks(config, args)
    for _, model in networks:
        movable_blocks(model.backbone)
    return permutation_analysis(
        [
            measure_permutations(
                name,
                model,
                spread_test_batches(config, model, _images(args)),
                draws=args.draws or _DRAWS,
                seed=config.run.seed,
            )
            for name, model in networks
        ]
    )


def analyze_paths(args: argparse.Namespace) -> Analysis:
    """Measure the gradient along the paths of ``--networks`` untrained, or of ``--weights``, on one batch of test images."""
    config = run_config(args, ClassificationRunConfig)
    profiles = []
    for name, model in _networks(config, args):
        batch = one_batch(spread_test_batches(config, model, args.images or _PATH_IMAGES)).to(select_device(args.device))
        profiles.append(profile_paths(name, model, batch, draws=args.draws or _PATHS, seed=config.run.seed))
    return path_analysis(profiles)


def analyze_differences(args: argparse.Namespace) -> Analysis:
    """Compare the two networks of ``--weights`` layer by layer on a few test images."""
    config = run_config(args, ClassificationRunConfig)
    (_, first), (_, second) = _networks(config, args)
    batch = one_batch(spread_test_batches(config, first, args.images or _COMPARED)).to(select_device(args.device))
    return difference_analysis(layer_differences(first, second, batch.images))


def _images(args: argparse.Namespace) -> int:
    return _IMAGES if args.images is None else int(args.images)


def _networks(config: ClassificationRunConfig, args: argparse.Namespace) -> list[tuple[str, Classifier]]:
    """The named networks of ``--weights``, or the untrained ones of ``--networks``, on the device."""
    device = select_device(args.device)
    if args.weights:
        return saved_networks(config, args.weights, args.networks, device)
    return untrained_networks(config, args.networks, device)


def _moments(config: ClassificationRunConfig, args: argparse.Namespace) -> Iterator[tuple[str, str, Classifier]]:
    """Yield the name, the moment and the network of each measurement; training happens in between."""
    for name, model in _networks(config, args):
        yield name, "as saved" if args.weights else "at the start", model
    if args.iterations:
        variants = network_variants(budgeted(config, args.iterations, args.overrides), args.networks)
        for name, variant in variants.items():
            model = load_network(config, trained_folder(variant, trainer(args.device)) / "model.safetensors")
            yield name, f"after {args.iterations} iterations", model.to(select_device(args.device))
