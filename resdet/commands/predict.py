"""Run a trained model, or an ensemble of detectors, on images, folders, globs or videos."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resdet.commands.common import add_inference_arguments
from resdet.commands.predict_arguments import detector_options, find_inputs, separate_arguments
from resdet.console import say
from resdet.errors import ConfigError, DataError, PredictionError

if TYPE_CHECKING:
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.detector import Detector


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
        help="an image, a folder of images, a glob, or a video; and model.test.option=value, test options of detectors, for "
        "instance model.test.refine=true",
    )
    parser.add_argument("--output", default="runs/predict", metavar="DIR", help="where results go (default: runs/predict)")
    parser.add_argument(
        "--score-thresh", type=float, default=0.5, metavar="S", help="least score shown, in [0, 1] (default: 0.5)"
    )
    add_inference_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict every path; a file that cannot be read is named at the end, the others are done."""
    from resdet.files import remove_unfinished, write_json
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.load import load
    from resdet.inference.localizer import Localizer
    from resdet.report.predictions import distinct_targets, refuse_to_overwrite

    if not 0 <= args.score_thresh <= 1:
        raise ConfigError(f"--score-thresh must be in [0, 1], got {args.score_thresh}")
    weights, paths, overrides = separate_arguments(args.weights, args.paths)
    test = detector_options(overrides)
    files = find_inputs(paths)
    output = Path(args.output)
    remove_unfinished(output)
    targets = distinct_targets(files, output)
    model = load(weights, device=args.device, precision=args.precision, compiled=args.compile, test=test)
    if isinstance(model, Localizer):
        raise ConfigError(f"--weights {weights[0]}: holds a localizer, which must be told the classes; `resdet eval` does")
    if isinstance(model, ImageClassifier):  # classifiers draw nothing, and take all files at once because they work in batches
        answers = iter([_classify(model, files)])
    else:
        refuse_to_overwrite(files, targets)
        pairs = zip(files, targets, strict=True)
        answers = (_detect(model, source, target, args.score_thresh) for source, target in pairs)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    stopped = None
    for some in answers:
        try:
            for row in some:
                rows.append(row)  # noqa: PERF402  (those before an error stay)
        except DataError as error:
            problems += error.problems
        except PredictionError as error:
            stopped = error
            break
    write_json(output / "predictions.json", rows)
    if stopped:
        raise stopped
    say(f"{len(files) - len(problems)} of {len(files)} files done, written: {output}", error=True)
    if problems:
        raise DataError(problems)
    return 0


def _classify(model: ImageClassifier, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    from resdet.report.predictions import classification_row

    for found in model.stream(files):
        say(f"{found.path}: {found[0].name} {found[0].score:.3f}")
        yield classification_row(found)


def _detect(model: Detector, source: Path, target: Path, score_thresh: float) -> Iterator[dict[str, Any]]:
    from resdet.inference.video import frame_rate, is_video_name
    from resdet.report.predictions import VideoFile, detection_row, save_picture

    results = model.stream(source, score_thresh=score_thresh)
    if not is_video_name(source):
        for found in results:
            save_picture(found.draw(), target)
            say(f"{source}: {found.summary()}")
            yield detection_row(found)
        return
    with VideoFile(target, frame_rate(source)) as video:
        for found in results:
            video.write(found.draw())
            yield detection_row(found)
    say(f"{source}: {video.frames} frames")
