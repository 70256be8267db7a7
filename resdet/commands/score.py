"""Scoring of results files without a model: a part of ``eval``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """``--ground-truth``, ``--detections``, ``--split`` and ``--metric``."""
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
    parser.add_argument("--metric", default="coco", choices=("coco", "voc07", "voc10"), help="of results files (default: coco)")


def score_results(args: argparse.Namespace) -> int:
    """Score ``--detections`` against ``--ground-truth``; the table goes to stdout, ``metrics.json`` into ``--output``.

    Raises:
        ConfigError: on files that are missing or do not go together.
        DataError: with every problem of a file.
    """
    from resdet.report.results import write_metrics
    from resdet.report.tables import metrics_table

    metrics = _score_voc(args) if Path(args.ground_truth).is_dir() else _score_coco(args)
    first = Path(args.detections[0])
    # a folder of its own: beside the detections lies the metrics.json of the run that made them
    folder = Path(args.output) if args.output else (first if first.is_dir() else first.parent) / "eval"
    print(metrics_table(metrics))
    print(f"written: {write_metrics(folder, metrics)}", file=sys.stderr)
    return 0


def _score_coco(args: argparse.Namespace) -> dict[str, Any]:
    from resdet.evaluation.score import score_files

    if args.split or len(args.detections) > 1:
        raise ConfigError(
            f"--split and several files of --detections go with a --ground-truth that is a VOC folder, got {args.ground_truth}"
        )
    return score_files(args.ground_truth, args.detections[0], args.metric, args.evaluator)


def _score_voc(args: argparse.Namespace) -> dict[str, Any]:
    from resdet.data.formats.voc import image_names, read_voc
    from resdet.data.sources.options import no_list
    from resdet.evaluation.ground_truth import GroundTruth
    from resdet.evaluation.score import score_detections
    from resdet.evaluation.voc_files import read_voc_results

    if problems := no_list("--split", args.split, Path(args.ground_truth) / "ImageSets" / "Main"):
        raise ConfigError(problems)
    dataset = read_voc(args.ground_truth, args.split)
    classes = dict(zip(dataset.category_ids, dataset.names, strict=True))
    found = read_voc_results(args.detections, args.split, image_names(dataset), classes)
    return score_detections(GroundTruth.from_dataset(dataset), found, [args.metric], args.evaluator)
