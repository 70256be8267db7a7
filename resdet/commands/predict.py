"""Run a trained model, or an ensemble of detectors, on images, folders, globs or videos."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from resdet.commands.predict_arguments import (
    add_arguments,
    check_predict_arguments,
    detector_options,
    refuse_detector_arguments,
    separate_arguments,
)
from resdet.commands.processes import launched, together
from resdet.console import say
from resdet.errors import ConfigError
from resdet.version import __version__

if TYPE_CHECKING:
    from resdet.distributed.ranks import Ranks

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Predict every path; a file that cannot be read is named at the end, the others are done."""
    check_predict_arguments(args)
    if args.devices is not None:
        return launched(args)
    with together(args) as ranks:
        _predict(args, ranks)
    return 0


def _predict(args: argparse.Namespace, ranks: Ranks) -> None:
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.load import load
    from resdet.inference.localizer import Localizer
    from resdet.inference.video import has_frames
    from resdet.prediction.classify import classify_files
    from resdet.prediction.inputs import find_inputs
    from resdet.prediction.job import Job
    from resdet.prediction.parts import stamp
    from resdet.prediction.search import Search, any_size, prepared, search_files

    weights, paths, overrides = separate_arguments(args.weights, args.paths)
    test = detector_options(overrides)
    files = ranks.once(lambda: find_inputs(paths))
    if args.every and ranks.first and not any(has_frames(file.path) for file in files):
        say("note: --every is for videos and cameras, and there is none", error=True)
    model = load(weights, device=args.device, precision=args.precision, compiled=args.compile, test=test, runtime=args.runtime)
    search = Search(
        score_thresh=0.5 if args.score_thresh is None else args.score_thresh,
        classes=args.classes.split(",") if args.classes is not None else None,
        max_det=args.max_det,
        short_side=args.short_side,
        tile=args.tile,
        overlap=0.2 if args.overlap is None else args.overlap,
        every=args.every or 1,
    )
    if isinstance(model, Localizer):
        raise ConfigError(f"--weights {weights[0]}: holds a localizer, which must be told the classes; `resdet eval` does")
    formats = args.format or (["json"] if isinstance(model, ImageClassifier) else ["pictures", "json"])
    asked = {
        "version": __version__,
        "weights": [stamp(Path(name)) for name in weights],
        "test": overrides,
        "search": asdict(search),
        "format": formats,
        **{name: getattr(args, name) for name in ("precision", "compile")},
    }
    job = Job(files, Path(args.output), formats, asked, ranks, args.resume)
    if isinstance(model, ImageClassifier):
        refuse_detector_arguments(args, weights[0])
        classify_files(model, job)
    else:
        with any_size(allowed=bool(args.tile)):
            search_files(prepared(model, search, note=ranks.first), search, job)
