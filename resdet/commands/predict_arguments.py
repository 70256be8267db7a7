"""Interprets the arguments of ``predict``: model files, paths and options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resdet.commands.arguments import add_inference_arguments, is_override
from resdet.commands.processes import add_process_arguments
from resdet.errors import ConfigError

# "pictures" and those of resdet.prediction.outputs, which is not imported for a help text: it takes a second
FORMATS = ("pictures", "json", "coco", "csv", "labelstudio", "yolo", "voc", "crops")
_OF_DETECTORS = ("score_thresh", "classes", "max_det", "short_side", "tile", "overlap", "every")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``predict``."""
    parser.add_argument(
        "--weights",
        nargs="+",
        required=True,
        metavar="FILE",
        help="a model file that training wrote; several .safetensors files of detectors are an ensemble",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="an image, a folder of images, a glob, a video, the number of a camera (until Ctrl-C), a .txt list of files, or - "
        "for such a list on standard input; and model.test.option=value, test options of detectors, for instance "
        "model.test.refine=true",
    )
    parser.add_argument("--output", default="runs/predict", metavar="DIR", help="where results go (default: runs/predict)")
    text = f"what is written: {', '.join(FORMATS)} (default: pictures,json; of a classifier json)"
    parser.add_argument("--format", metavar="NAME,…", help=text)
    parser.add_argument("--score-thresh", type=float, metavar="S", help="least score shown, in [0, 1] (default: 0.5)")
    parser.add_argument("--classes", metavar="NAME,…", help="only objects of these classes")
    parser.add_argument("--max-det", type=int, metavar="N", help="at most so many objects of a picture, the best")
    parser.add_argument(
        "--short-side", "--imgsz", type=int, metavar="N", help="resize pictures to this shorter side (default: the model's)"
    )
    parser.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="also search large pictures in overlapping windows of N x N pixels, and join what is found",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        metavar="S",
        help="with --tile: the share of a window that its neighbour covers too (default: 0.2)",
    )
    parser.add_argument("--every", type=int, metavar="N", help="every so many frames of a video (default: all)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the same prediction where it was ended: what is done is not repeated"
    )
    add_inference_arguments(parser)
    add_process_arguments(parser)


def check_predict_arguments(args: argparse.Namespace) -> None:
    """Raise a ConfigError with every argument of ``predict`` that is out of range; ``args.format`` becomes a list, if given."""
    args.format = None if args.format is None else [name for name in args.format.split(",") if name]
    from resdet.config.option import MAX_SIDE  # which needs more than a help text has

    problems = [f"--format must be of {', '.join(FORMATS)}, got {name!r}" for name in args.format or () if name not in FORMATS]
    if args.format == []:
        problems.append("--format names no format")
    if args.score_thresh is not None and not 0 <= args.score_thresh <= 1:
        problems.append(f"--score-thresh must be in [0, 1], got {args.score_thresh}")
    for name, low in (("max_det", 1), ("short_side", 16), ("every", 1)):
        value = getattr(args, name)
        if value is not None and value < low:
            problems.append(f"--{name.replace('_', '-')} must be at least {low}, got {value}")
    if (args.short_side or 0) > MAX_SIDE:
        problems.append(f"--short-side must be at most {MAX_SIDE}, got {args.short_side}")
    if Path(args.output).exists() and not Path(args.output).is_dir():
        problems.append(f"--output must be a folder, got the file {args.output}")
    if args.overlap is not None and args.tile is None:
        problems.append(f"--overlap is that of the windows of --tile, and there is no --tile; got --overlap {args.overlap:g}")
    if problems:
        raise ConfigError(problems)


def refuse_detector_arguments(args: argparse.Namespace, weights: str) -> None:
    """Raise a ConfigError with each argument that says something to detectors alone; ``weights`` holds a classifier."""
    given = [name for name in _OF_DETECTORS if getattr(args, name) is not None]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"{names}: for detectors; {weights} holds a classifier")


def separate_arguments(weights: Sequence[str], others: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """The model files, paths and ``key=value`` options of a command line that may mix them.

    Args:
        weights: the words after ``--weights``: a model file, further model files known by their suffix ``.safetensors``, then
            paths and options.
        others: the paths and options elsewhere on the command line.

    Raises:
        ConfigError: when there is no path.
    """
    first, *rest = weights
    files = [first, *(item for item in rest if item.endswith((".safetensors", ".onnx", ".xml")) or item.startswith("hf://"))]
    rest = [item for item in rest if item not in files] + list(others)
    overrides = [item for item in rest if is_override(item)]
    paths = [item for item in rest if item not in overrides]
    if not paths:
        raise ConfigError("predict needs at least one PATH: an image, a folder of images, a glob, or a video")
    return files, paths, overrides


def detector_options(overrides: Sequence[str], command: str = "predict") -> dict[str, Any]:
    """``["model.test.refine=true"]`` as ``{"refine": True}``; a ConfigError for each option of another section."""
    import yaml

    options: dict[str, Any] = {}
    problems = []
    for text in overrides:
        key, _, value = text.partition("=")
        if not key.startswith("model.test."):
            problems.append(f"argument {text!r}: {command} changes options of 'model.test' only")
            continue
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed = value
        options[key.removeprefix("model.test.")] = "" if parsed is None else parsed
    if problems:
        raise ConfigError(problems)
    return options
