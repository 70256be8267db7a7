"""Analyses of whole networks: ``resdet analyze gradients``, ``responses``, ``paths`` and ``diff``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from resdet.analysis.differences import layer_differences
from resdet.analysis.gradients import profile_gradients
from resdet.analysis.paths import profile_paths
from resdet.analysis.responses import profile_responses
from resdet.analysis.subjects import first_training_batches, load_network, one_batch, spread_test_batches
from resdet.analysis.variants import network_variants, trained_folder
from resdet.commands.analyze_subjects import images_of, networks_of
from resdet.commands.analyze_training import trainer
from resdet.commands.common import run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.inference.device import select_device
from resdet.models.classifier import Classifier
from resdet.report.analyses import difference_analysis, gradient_analysis, path_analysis, response_analysis
from resdet.report.analysis_files import Analysis
from resdet.training.budget import budgeted

# the amounts to measure with by default
_BATCHES, _PATH_IMAGES, _PATHS, _COMPARED = 5, 100, 20, 4


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
    for name, model in networks_of(config, args):
        images = (batch.images for batch in spread_test_batches(config, model, images_of(args)))
        profiles.append(profile_responses(name, model, images, all_convolutions=bool(args.all_convolutions)))
    return response_analysis(profiles)


def analyze_paths(args: argparse.Namespace) -> Analysis:
    """Measure the gradient along the paths of ``--networks`` untrained, or of ``--weights``, on one batch of test images."""
    config = run_config(args, ClassificationRunConfig)
    profiles = []
    for name, model in networks_of(config, args):
        batch = one_batch(spread_test_batches(config, model, args.images or _PATH_IMAGES)).to(select_device(args.device))
        profiles.append(profile_paths(name, model, batch, draws=args.draws or _PATHS, seed=config.run.seed))
    return path_analysis(profiles)


def analyze_differences(args: argparse.Namespace) -> Analysis:
    """Compare the two networks of ``--weights`` layer by layer on a few test images."""
    config = run_config(args, ClassificationRunConfig)
    (_, first), (_, second) = networks_of(config, args)
    batch = one_batch(spread_test_batches(config, first, args.images or _COMPARED)).to(select_device(args.device))
    return difference_analysis(layer_differences(first, second, batch.images))


def _moments(config: ClassificationRunConfig, args: argparse.Namespace) -> Iterator[tuple[str, str, Classifier]]:
    """Yield the name, the moment and the network of each measurement; training happens in between."""
    for name, model in networks_of(config, args):
        yield name, "as saved" if args.weights else "at the start", model
    if args.iterations:
        variants = network_variants(budgeted(config, args.iterations, args.overrides), args.networks)
        for name, variant in variants.items():
            model = load_network(config, trained_folder(variant, trainer(args.device)) / "model.safetensors")
            yield name, f"after {args.iterations} iterations", model.to(select_device(args.device))
