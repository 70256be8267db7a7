"""Measure why residual networks work: degradation, shortcuts, BN, gradients, responses, lesions, paths.

Each analysis writes NAME.png, NAME.svg, NAME.csv and NAME.txt into the output folder, and prints the conclusion.
"""

from __future__ import annotations

import argparse

from resdet.commands.analyze_check import LISTS, OPTIONS, check_arguments, number_from
from resdet.commands.arguments import add_device_argument, separate_overrides
from resdet.console import say, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``analyze``."""
    parser.add_argument(
        "analysis",
        choices=list(OPTIONS),
        help="degradation: training and test error of plain and residual nets of several depths; shortcuts: the same for "
        "options A, B, C and none; norm: up to which learning rate networks learn with BN and without; identity: blocks "
        "of other orders and shortcuts; gradients: the gradient "
        "norm of every layer; responses: the standard deviation of every layer's response; lesion, permutation: the error "
        "after blocks are dropped, or change places; paths: the gradient along paths of every length; diff: the first layer "
        "in which two networks differ",
    )
    parser.add_argument("--config", metavar="FILE", help="a run file, or the name of a shipped one (not with --runs)")
    parser.add_argument("--output", required=True, metavar="DIR", help="where picture, table, conclusion and trained runs go")
    parser.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="options to change, for instance optimizer.lr=0.001"
    )
    add_device_argument(parser)
    group = parser.add_argument_group("options of some analyses")
    group.add_argument(
        "--networks",
        nargs="+",
        metavar="NAME",
        help="networks of the backbone registry: those to train (degradation, norm), or to measure untrained; with --weights, "
        "the network of each file (default: the model file's own, or else the config's)",
    )
    group.add_argument(
        "--iterations",
        type=number_from(1),
        metavar="N",
        help="train for so many steps; milestones and warm-up move in proportion (default: the config's schedule; norm, "
        "identity: 100; gradients: no training)",
    )
    group.add_argument(
        "--seeds",
        type=number_from(1),
        metavar="N",
        help="shortcuts, norm, identity: train with so many seeds, from run.seed on; what is said of differences needs two "
        "(default: 1)",
    )
    group.add_argument(
        "--rates",
        nargs="+",
        metavar="RATE",
        help="norm: learning rates (default: 0.003 0.01 0.03 0.1 0.3 1 3)",
    )
    group.add_argument(
        "--runs", nargs="+", metavar="DIR", help="degradation, shortcuts: finished run folders; nothing is trained"
    )
    group.add_argument("--weights", nargs="+", metavar="FILE", help="all but degradation and shortcuts: trained networks")
    group.add_argument("--batches", type=number_from(1), metavar="N", help="gradients: batches averaged over (default: 5)")
    group.add_argument(
        "--images", type=number_from(0), metavar="N", help="test images; 0: all (default: 1000; paths: 100, diff: 4)"
    )
    group.add_argument(
        "--draws",
        type=number_from(1),
        metavar="N",
        help="lesion, permutation: random choices of several blocks, paths: of paths of a length (default: 5; paths: 20)",
    )
    group.add_argument(
        "--all-convolutions", action="store_true", default=None, help="responses: not only the 3x3 layers, also the other ones"
    )


def run(args: argparse.Namespace) -> int:
    """Measure what was asked for.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    separate_overrides(args, *LISTS)
    check_arguments(args)
    from resdet.commands import analyze_blocks, analyze_networks, analyze_training
    from resdet.report.analysis_files import write_analysis

    analyses = {
        "degradation": analyze_training.analyze_degradation,
        "shortcuts": analyze_training.analyze_shortcuts,
        "norm": analyze_training.analyze_norm,
        "identity": analyze_training.analyze_identity,
        "gradients": analyze_networks.analyze_gradients,
        "responses": analyze_networks.analyze_responses,
        "lesion": analyze_blocks.analyze_lesions,
        "permutation": analyze_blocks.analyze_permutations,
        "paths": analyze_networks.analyze_paths,
        "diff": analyze_networks.analyze_differences,
    }
    analysis = analyses[args.analysis](args)
    say(f"written: {', '.join(map(str, write_analysis(args.output, analysis)))}", error=True)
    show(analysis.conclusion, {"conclusion": analysis.conclusion, "rows": [dict(row) for row in analysis.rows]})
    return 0
