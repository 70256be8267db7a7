"""Scores results files without a model, as a part of ``eval``."""

from __future__ import annotations

import argparse
from pathlib import Path

from resdet.console import say, show
from resdet.errors import ConfigError

EVALUATOR = "hotcoco"


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """``--ground-truth``, ``--detections``, ``--split``, ``--metric`` and ``--iou``."""
    parser.add_argument(
        "--ground-truth",
        metavar="PATH",
        help="score results files: the annotations they are about, a COCO json, or a VOC folder with --split",
    )
    parser.add_argument(
        "--detections",
        nargs="+",
        metavar="PATH",
        help="score results files: a COCO results json; of a VOC folder the files comp4_det_SPLIT_CLASS.txt, or their folder",
    )
    parser.add_argument("--split", default="", metavar="NAME", help="of a VOC folder: the image set that was detected on")
    parser.add_argument("--metric", choices=("coco", "voc07", "voc10"), help="of results files (default: coco)")
    parser.add_argument(
        "--iou",
        type=float,
        metavar="NUMBER",
        help="of results files and a VOC metric: the least IoU of a right box (default: 0.5)",
    )


def score_folder(args: argparse.Namespace) -> Path:
    """Where the numbers of results files go."""
    first = Path(args.detections[0])
    # a separate folder, because the metrics.json of the run that made the detections lies beside them
    return Path(args.output) if args.output else (first if first.is_dir() else first.parent) / "eval"


def score_results(args: argparse.Namespace) -> int:
    """Score ``--detections`` against ``--ground-truth``; the table goes to stdout, ``metrics.json`` into ``--output``.

    Raises:
        ConfigError: on files that are missing or do not go together.
        DataError: with every problem of a file.
    """
    from resdet.evaluation.score import score_files, score_voc_files
    from resdet.report.results import write_metrics
    from resdet.report.tables import metrics_table

    truth, files = args.ground_truth, args.detections
    metric, evaluator = args.metric or "coco", args.evaluator or EVALUATOR
    if args.iou is not None and metric == "coco":
        raise ConfigError("--iou goes with --metric voc07 or voc10: COCO's metric has its own ten")
    if args.evaluator and metric != "coco":
        raise ConfigError(f"--evaluator computes COCO's numbers, got --metric {metric}")
    iou = 0.5 if args.iou is None else args.iou
    if Path(truth).is_dir():
        metrics = score_voc_files(truth, args.split, files, metric, evaluator, iou)
    elif args.split or len(files) > 1:
        raise ConfigError(
            f"--split and several files of --detections go with a --ground-truth that is a VOC folder, got {truth}"
        )
    else:
        metrics = score_files(truth, files[0], metric, evaluator, iou)
    written = write_metrics(score_folder(args), metrics)
    show(metrics_table(metrics), metrics)
    say(f"written: {written}", error=True)
    return 0
