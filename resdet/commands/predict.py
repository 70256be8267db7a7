"""Run a trained model, or an ensemble of detectors, on images, folders, globs or videos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.common import add_inference_arguments
from resdet.commands.predict_arguments import (
    FORMATS,
    check_predict_arguments,
    detector_options,
    find_inputs,
    separate_arguments,
)
from resdet.commands.processes import add_process_arguments, launched, together
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.distributed.ranks import Ranks


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
    parser.add_argument(
        "--format",
        default="pictures,json",
        metavar="NAME,…",
        help=f"what is written: {', '.join(FORMATS)} (default: pictures,json)",
    )
    parser.add_argument(
        "--score-thresh", type=float, default=0.5, metavar="S", help="least score shown, in [0, 1] (default: 0.5)"
    )
    parser.add_argument("--classes", metavar="NAME,…", help="only objects of these classes")
    parser.add_argument("--max-det", type=int, metavar="N", help="at most so many objects of a picture, the best")
    parser.add_argument(
        "--short-side", type=int, metavar="N", help="resize pictures to this shorter side (default: the model's)"
    )
    parser.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="also search large pictures in overlapping windows of N x N pixels, and join what is found",
    )
    parser.add_argument(
        "--overlap", type=float, default=0.2, metavar="S", help="the share of a window that its neighbour covers too"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every so many frames of a video (default: all)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the same prediction where it was ended: what is done is not repeated"
    )
    add_inference_arguments(parser)
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict every path; a file that cannot be read is named at the end, the others are done."""
    check_predict_arguments(args)
    if args.devices is not None:
        return launched(args)
    with together(args) as ranks:
        return _predict(args, ranks)


def _predict(args: argparse.Namespace, ranks: Ranks) -> int:
    from resdet.commands.predict_files import any_size, as_asked, classify_files, search_files
    from resdet.files import remove_unfinished
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.load import load
    from resdet.inference.localizer import Localizer

    weights, paths, overrides = separate_arguments(args.weights, args.paths)
    test = detector_options(overrides)
    files = ranks.once(lambda: find_inputs(paths))
    if ranks.first:
        remove_unfinished(Path(args.output))
    model = load(weights, device=args.device, precision=args.precision, compiled=args.compile, test=test, runtime=args.runtime)
    if isinstance(model, Localizer):
        raise ConfigError(f"--weights {weights[0]}: holds a localizer, which must be told the classes; `resdet eval` does")
    if isinstance(model, ImageClassifier):
        return classify_files(model, args, files, ranks)
    with any_size(allowed=bool(args.tile)):
        return search_files(as_asked(model, args, note=ranks.first), args, files, ranks)
