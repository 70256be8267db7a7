"""Analyses of residual blocks: ``resdet analyze lesion`` and ``permutation``."""

from __future__ import annotations

import argparse

from resdet.analysis.lesion import droppable_blocks, measure_lesions
from resdet.analysis.permutation import measure_permutations, movable_blocks
from resdet.analysis.subjects import spread_test_batches
from resdet.commands.analyze_subjects import images_of, networks_of
from resdet.commands.common import run_config
from resdet.config.schema import ClassificationRunConfig
from resdet.report.analyses import lesion_analysis, permutation_analysis
from resdet.report.analysis_files import Analysis

_DRAWS = 5


def analyze_lesions(args: argparse.Namespace) -> Analysis:
    """Measure the error of ``--weights`` without one block and without several."""
    config = run_config(args, ClassificationRunConfig)
    networks = networks_of(config, args)
    for _, model in networks:
        droppable_blocks(model.backbone)  # refuses a network before minutes go into measuring another
    draws, seed = args.draws or _DRAWS, config.run.seed
    profiles = [
        measure_lesions(name, model, spread_test_batches(config, model, images_of(args)), draws=draws, seed=seed)
        for name, model in networks
    ]
    return lesion_analysis(profiles)


def analyze_permutations(args: argparse.Namespace) -> Analysis:
    """Measure the error of ``--weights`` with blocks in other places."""
    config = run_config(args, ClassificationRunConfig)
    networks = networks_of(config, args)
    for _, model in networks:
        movable_blocks(model.backbone)
    return permutation_analysis(
        [
            measure_permutations(
                name,
                model,
                spread_test_batches(config, model, images_of(args)),
                draws=args.draws or _DRAWS,
                seed=config.run.seed,
            )
            for name, model in networks
        ]
    )
