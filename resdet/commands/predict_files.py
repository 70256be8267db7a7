"""What ``predict`` does with a model and files: asks, draws, writes."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from resdet.commands.predict_arguments import Input, asked
from resdet.commands.predict_parts import Parts, Row
from resdet.console import say
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.distributed.ranks import Ranks
from resdet.errors import ConfigError, DataError
from resdet.files import write_json
from resdet.inference.classifier import ImageClassifier, images_at_once
from resdet.inference.detector import Detector
from resdet.inference.exported.networks import ExportedDetector
from resdet.inference.tiles import PROPOSALS, Tiles
from resdet.inference.video import frame_count, frame_rate, has_frames, is_camera, video_frames
from resdet.inference.windowed_file import open_windows
from resdet.progress import track
from resdet.report.outputs import OUTPUTS
from resdet.report.predictions import (
    VideoFile,
    classification_row,
    detection_row,
    detections_of,
    distinct_names,
    refuse_to_overwrite,
    save_picture,
    written_suffix,
)
from resdet.report.sound import keep_sound
from resdet.structures import Detections
from resdet.structures.showing import frame_of


def as_asked(model: Detector, args: argparse.Namespace, *, note: bool) -> Detector:
    """The detector with the picture size and the windows of the arguments; ``note``: say so where it gives no scores so low."""
    first = model.models[0]
    if args.short_side and isinstance(first, ExportedDetector) and first.program.facts.resizes:
        raise ConfigError(f"{first.program.path}: was exported with --resize and resizes by itself, got --short-side")
    if args.short_side:
        longest = round(args.short_side * model.transform.max_side / model.transform.short_side)
        model.transform = DetectionTestTransform(args.short_side, longest)
    if args.tile:
        model.tiles = Tiles(args.tile, args.overlap)
        own = model.propose_at_least(PROPOSALS)
        if note and own < PROPOSALS:
            say(f"note: {PROPOSALS} regions are proposed in a window; of a picture the model proposes {own}", error=True)
    lowest = model.score_thresh
    if note and args.score_thresh < lowest:
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


def classify_files(model: ImageClassifier, args: argparse.Namespace, files: Sequence[Input], ranks: Ranks) -> int:
    """Name each picture's best class, and write ``predictions.json``. Classifiers work in batches, which are the parts."""
    if others := [name for name in args.format if name not in ("pictures", "json")]:
        raise ConfigError(f"--format {', '.join(others)}: for detectors; of a classifier predictions.json is written")
    output, size = Path(args.output), images_at_once(model.transform.crop)
    batches = [[file.path for file in files[first : first + size]] for first in range(0, len(files), size)]

    def work(number: int, add: Callable[[Row], None]) -> None:
        for found in model.stream(batches[number]):
            say(f"{found.path}: {found[0].name} {found[0].score:.3f}")
            add(classification_row(found))

    def write(rows: Iterator[tuple[int, Row]]) -> None:
        write_json(output / "predictions.json", [row for _, row in rows])

    parts = Parts(output, asked(args), [[(path, "") for path in batch] for batch in batches], ranks, resume=args.resume)
    return _done(parts, work, write, len(files), output, ranks)


def search_files(model: Detector, args: argparse.Namespace, files: Sequence[Input], ranks: Ranks) -> int:
    """Search each picture and each frame for objects, and write the formats of the arguments. Each file is a part."""
    output, drawn = Path(args.output), "pictures" in args.format
    names = distinct_names([file.place for file in files])
    targets = [output / f"{name}{written_suffix(file.path)}" for name, file in zip(names, files, strict=True)]
    if drawn:
        refuse_to_overwrite([file.path for file in files], targets)
    outputs = [OUTPUTS[name](output, model.names) for name in args.format if name in OUTPUTS]

    def work(number: int, add: Callable[[Row], None]) -> None:
        path = files[number].path
        results = _results(model, path, args)
        shown = _drawn(results, path, targets[number], args) if drawn else results
        with _until_interrupted(path), contextlib.closing(shown):
            for found in shown:
                for each in outputs:
                    if not each.lists:
                        each.add(found, _name(names[number], found))
                add(detection_row(found))
        if drawn and has_frames(path) and (note := keep_sound(targets[number], path)):
            say(f"note: {note}", error=True)

    def write(rows: Iterator[tuple[int, Row]]) -> None:
        for number, row in rows:
            found = detections_of(row, model.names)
            for each in outputs:
                if each.lists:
                    each.add(found, _name(names[number], found))
        for each in outputs:
            each.close()

    named = [[(file.path, name)] for file, name in zip(files, names, strict=True)]
    parts = Parts(output, asked(args), named, ranks, resume=args.resume)
    return _done(parts, work, write, len(files), output, ranks)


@contextlib.contextmanager
def _until_interrupted(path: Path) -> Iterator[None]:
    """A context that Ctrl-C ends as an end of the frames, of a camera, which has no other; of files it ends the command."""
    try:
        yield
    except KeyboardInterrupt:
        if not is_camera(path):
            raise


def _name(name: str, found: Detections) -> str:
    frame = frame_of(found.path, found.image_id)
    return name if frame is None else f"{name}_{frame:06}"


def _done(
    parts: Parts,
    work: Callable[[int, Callable[[Row], None]], None],
    write: Callable[[Iterator[tuple[int, Row]]], None],
    count: int,
    output: Path,
    ranks: Ranks,
) -> int:
    """Do the work and have the first process write of it what belongs to all files; 0, or a DataError with all problems."""
    try:
        parts.work(work)
    finally:
        if ranks.first:  # of what there is, where something has ended the work
            write(parts.rows())
    if not ranks.first:
        return 0
    problems = parts.problems()
    parts.forget()
    say(f"{count - len(problems)} of {count} files done, written: {output}", error=True)
    if problems:
        raise DataError(problems)
    return 0


def _results(model: Detector, path: Path, args: argparse.Namespace) -> Generator[Detections, None, None]:
    """The detections of a picture, or of the frames of a video, each told."""
    frames = 0
    classes = args.classes.split(",") if args.classes else None
    if has_frames(path):
        for number, frame in track(video_frames(path, args.every), frame_count(path, args.every), f"frames of {path.name}"):
            for found in model.stream([frame], score_thresh=args.score_thresh):
                frames += 1
                yield replace(found.filter(classes=classes)[: args.max_det], image_id=number, path=str(path))
        say(f"{path}: {frames} frames")
        return
    for found in model.stream(path, score_thresh=args.score_thresh):
        chosen = found.filter(classes=classes)[: args.max_det]
        yield chosen
        say(f"{path}: {chosen.summary()}")


def _drawn(
    results: Iterator[Detections], path: Path, target: Path, args: argparse.Namespace
) -> Generator[Detections, None, None]:
    """The same detections, drawn into a picture or a video; of a file that is read in windows, into a smaller copy."""
    with contextlib.ExitStack() as stack:
        video = stack.enter_context(VideoFile(target, frame_rate(path) / args.every)) if has_frames(path) else None
        for found in results:
            if video:
                video.write(found.draw())
            else:
                large = open_windows(path) if args.tile else None
                copy = large.overview() if large else None
                save_picture(found.draw(copy), target)
                if copy:
                    say(f"note: {target} is a smaller copy, {copy.width} x {copy.height} pixels", error=True)
            yield found
