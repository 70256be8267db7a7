"""What ``predict`` does with a model and files: asks, draws, writes."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from resdet.commands.predict_arguments import Input
from resdet.console import say
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.errors import ConfigError, DataError
from resdet.files import write_json
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.exported.networks import ExportedDetector
from resdet.inference.tiles import Tiles
from resdet.inference.video import frame_rate, is_video_name, video_frames
from resdet.report.outputs import OUTPUTS
from resdet.report.predictions import (
    VideoFile,
    classification_row,
    distinct_names,
    refuse_to_overwrite,
    save_picture,
    written_suffix,
)
from resdet.structures import Detections
from resdet.structures.showing import frame_of


def as_asked(model: Detector, args: argparse.Namespace) -> Detector:
    """The detector with the picture size and the windows of the arguments; a note where it gives no scores so low."""
    first = model.models[0]
    if args.short_side and isinstance(first, ExportedDetector) and first.program.facts.resizes:
        raise ConfigError(f"{first.program.path}: was exported with --resize and resizes by itself, got --short-side")
    if args.short_side:
        longest = round(args.short_side * model.transform.max_side / model.transform.short_side)
        model.transform = DetectionTestTransform(args.short_side, longest)
    if args.tile:
        model.tiles = Tiles(args.tile, args.overlap)
    lowest = model.score_thresh
    if args.score_thresh < lowest:
        say(
            f"note: the model gives no scores below {lowest:g}; model.test.score_thresh={args.score_thresh:g} would", error=True
        )
    return model


@contextlib.contextmanager
def any_size(allowed: bool) -> Iterator[None]:
    """A context in which pictures may have any number of pixels, as those have that are searched in windows."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None if allowed else before
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def classify_files(model: ImageClassifier, args: argparse.Namespace, files: Sequence[Input]) -> int:
    """Name each picture's best class, and write ``predictions.json``. All files go in at once: classifiers work in batches."""
    if others := [name for name in args.format if name not in ("pictures", "json")]:
        raise ConfigError(f"--format {', '.join(others)}: for detectors; of a classifier predictions.json is written")
    output = Path(args.output)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        for found in model.stream([file.path for file in files]):
            say(f"{found.path}: {found[0].name} {found[0].score:.3f}")
            rows.append(classification_row(found))
    except DataError as error:
        problems += error.problems
    finally:
        write_json(output / "predictions.json", rows)
    return _ended(files, problems, output)


def search_files(model: Detector, args: argparse.Namespace, files: Sequence[Input]) -> int:
    """Search each picture and each frame for objects, and write the formats of the arguments."""
    output, drawn = Path(args.output), "pictures" in args.format
    names = distinct_names([file.place for file in files])
    targets = [output / f"{name}{written_suffix(file.path)}" for name, file in zip(names, files, strict=True)]
    if drawn:
        refuse_to_overwrite([file.path for file in files], targets)
    outputs = [OUTPUTS[name](output, model.names) for name in args.format if name in OUTPUTS]
    problems: list[str] = []
    try:
        for file, name, target in zip(files, names, targets, strict=True):
            results = _results(model, file.path, args)
            try:
                for found in _drawn(results, file.path, target, args.every) if drawn else results:
                    frame = frame_of(found.path, found.image_id)
                    for each in outputs:
                        each.add(found, name if frame is None else f"{name}_{frame:06}")
            except DataError as error:
                problems += error.problems
    finally:
        for each in outputs:
            each.close()
    return _ended(files, problems, output)


def _results(model: Detector, path: Path, args: argparse.Namespace) -> Iterator[Detections]:
    """The detections of a picture, or of the frames of a video, each told."""
    frames = 0
    classes = args.classes.split(",") if args.classes else None
    if is_video_name(path):
        for number, frame in video_frames(path, args.every):
            for found in model.stream([frame], score_thresh=args.score_thresh):
                frames += 1
                yield replace(found.filter(classes=classes)[: args.max_det], image_id=number, path=str(path))
        say(f"{path}: {frames} frames")
        return
    for found in model.stream(path, score_thresh=args.score_thresh):
        chosen = found.filter(classes=classes)[: args.max_det]
        yield chosen
        say(f"{path}: {chosen.summary()}")


def _drawn(results: Iterator[Detections], path: Path, target: Path, every: int) -> Iterator[Detections]:
    """The same detections, drawn into a picture or a video."""
    with contextlib.ExitStack() as stack:
        video = stack.enter_context(VideoFile(target, frame_rate(path) / every)) if is_video_name(path) else None
        for found in results:
            if video:
                video.write(found.draw())
            else:
                save_picture(found.draw(), target)
            yield found


def _ended(files: Sequence[Input], problems: Sequence[str], output: Path) -> int:
    """0; a DataError with all problems when there are some."""
    say(f"{len(files) - len(problems)} of {len(files)} files done, written: {output}", error=True)
    if problems:
        raise DataError(problems)
    return 0
