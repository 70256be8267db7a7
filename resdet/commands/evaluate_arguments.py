"""Arguments of ``eval``."""

from __future__ import annotations

import argparse

from resdet.commands.common import add_config_arguments, add_inference_arguments
from resdet.commands.processes import add_process_arguments
from resdet.commands.score import add_score_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``eval``."""
    add_config_arguments(parser, required=False)
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="FILE",
        default=[],
        help="a model file (default: model.safetensors of the config's output), or several: an ensemble, whose probabilities "
        "(of detectors: scores and boxes of the union of their proposals) are averaged; of classifiers also a file of foreign "
        "weights for the config's network",
    )
    parser.add_argument(
        "--predictions",
        nargs="+",
        metavar="FILE",
        default=[],
        help="no network runs: ensemble of predictions.npz files; with a localization config a submission file is scored",
    )
    parser.add_argument(
        "--classifier",
        nargs="+",
        metavar="FILE",
        default=[],
        help="of a localizer: the classifiers, averaged, that say the five classes; without them the true class is given",
    )
    parser.add_argument(
        "--constant-box",
        action="store_true",
        help="with a localization config: score the mean box of each class over the training images, as a baseline",
    )
    parser.add_argument(
        "--shares", nargs="+", metavar="NUMBER", default=[], help="weight of each member of an ensemble (default: equal ones)"
    )
    add_inference_arguments(parser)
    add_process_arguments(parser)
    parser.add_argument(
        "--evaluator", default="hotcoco", choices=("hotcoco", "pycocotools"), help="who computes COCO's numbers"
    )
    parser.add_argument(
        "--report", action="store_true", help="write report.html beside the results: numbers, charts and pictures for a browser"
    )
    add_score_arguments(parser)
