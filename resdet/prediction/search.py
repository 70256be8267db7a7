"""Searches files for objects, draws what is found, and writes it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from resdet.console import say
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.errors import ConfigError, did_you_mean
from resdet.inference.detector import Detector
from resdet.inference.exported.networks import ExportedDetector
from resdet.inference.tiles import PROPOSALS, Tiles
from resdet.inference.video import frame_count, frame_rate, has_frames, is_camera, video_frames
from resdet.inference.windowed_file import open_windows
from resdet.prediction.job import Job
from resdet.prediction.outputs import OUTPUTS
from resdet.prediction.parts import Row
from resdet.prediction.sound import keep_sound
from resdet.prediction.written import (
    VideoFile,
    detection_row,
    detections_of,
    distinct_names,
    fitted,
    refuse_to_overwrite,
    save_picture,
    written_suffix,
)
from resdet.progress import track
from resdet.structures import Detections
from resdet.structures.showing import frame_of

_COMPLETE = 0.9  # of the frames that a video's header speaks of


@dataclass(frozen=True)
class Search:
    """How files are searched.

    Attributes:
        score_thresh: the least score, in [0, 1].
        classes: names; only objects of these are kept. None: of all.
        max_det: at most so many objects of a picture, the best. None: all.
        short_side: pictures are resized to it, pixels. None: to the model's.
        tile: the side of windows that large pictures are also searched in, pixels. None: they are not.
        overlap: the share of a window that its neighbour covers too.
        every: every so many frames of a video.
    """

    score_thresh: float
    classes: Sequence[str] | None
    max_det: int | None
    short_side: int | None
    tile: int | None
    overlap: float
    every: int


def prepared(model: Detector, search: Search, *, note: bool) -> Detector:
    """The detector with this picture size and these windows; ``note``: say where it gives no scores so low, or not so many.

    Raises:
        ConfigError: for each class that the model does not know, and for the picture size of an exported model that resizes by
            itself.
    """
    first = model.models[0]
    if unknown := [name for name in search.classes or () if name not in model.names]:
        raise ConfigError([f"--classes: unknown class {name!r}{did_you_mean(name, model.names)}" for name in unknown])
    if search.short_side and isinstance(first, ExportedDetector) and first.program.facts.resizes:
        raise ConfigError(f"{first.program.path}: was exported with --resize and resizes by itself, got --short-side")
    if search.short_side:
        longest = round(search.short_side * model.transform.max_side / model.transform.short_side)
        model.transform = DetectionTestTransform(search.short_side, longest)
    if search.tile is not None:
        model.tiles = Tiles(search.tile, search.overlap)
        own = model.propose_at_least(PROPOSALS)
        if note and own < PROPOSALS:
            say(f"note: {PROPOSALS} regions are proposed in a window; of a picture the model proposes {own}", error=True)
    lowest = model.score_thresh
    if note and search.score_thresh < lowest:
        say(
            f"note: the model gives no scores below {lowest:g}; model.test.score_thresh={search.score_thresh:g} would",
            error=True,
        )
    most = None if isinstance(first, ExportedDetector) else first.roi_heads.postprocess.detections_per_image
    if note and most and search.tile is None and (search.max_det or 0) > most:
        wanted = f"model.test.detections_per_image={search.max_det}"
        say(f"note: the model gives at most {most} objects of a picture; {wanted} would give more", error=True)
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


def search_files(model: Detector, search: Search, job: Job) -> None:
    """Search each picture and each frame for objects, and write what the job asks for. Each file is a part.

    Raises:
        ConfigError: where a drawn picture would overwrite one of the files.
        DataError: with every file that cannot be read; the others are done.
    """
    files, output, drawn = job.files, job.output, "pictures" in job.formats
    names = distinct_names([file.place for file in files])
    targets = [output / fitted(name, written_suffix(file.path)) for name, file in zip(names, files, strict=True)]
    if drawn:
        refuse_to_overwrite([file.path for file in files], targets)
    outputs = [OUTPUTS[name](output, model.names) for name in job.formats if name in OUTPUTS]

    def work(number: int, add: Callable[[Row], None]) -> None:
        path = files[number].path
        results = _results(model, path, search)
        shown = _drawn(results, path, targets[number], search) if drawn else results
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

    job.carry_out([[(file.path, name)] for file, name in zip(files, names, strict=True)], work, write)


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


def _results(model: Detector, path: Path, search: Search) -> Generator[Detections, None, None]:
    """The detections of a picture, or of the frames of a video, each told."""
    frames = 0
    if has_frames(path):
        expected = frame_count(path, search.every)
        for number, frame in track(video_frames(path, search.every), expected, f"frames of {path.name}"):
            for found in model.stream([frame], score_thresh=search.score_thresh):
                frames += 1
                yield replace(found.filter(classes=search.classes)[: search.max_det], image_id=number, path=str(path))
        say(f"{path}: {frames} frames")
        if expected and frames < _COMPLETE * expected:  # of videos of a changing rate it is an estimate
            say(f"note: {path}: its header speaks of {expected} frames; is the file cut off?", error=True)
        return
    if model.tiles and (large := open_windows(path)):
        count = len(model.tiles.windows((large.height, large.width)))
        say(f"note: {path}: {large.width} x {large.height} pixels, searched in {count} windows", error=True)
    for found in model.stream(path, score_thresh=search.score_thresh):
        chosen = found.filter(classes=search.classes)[: search.max_det]
        yield chosen
        say(f"{path}: {chosen.summary()}")


def _drawn(results: Iterator[Detections], path: Path, target: Path, search: Search) -> Generator[Detections, None, None]:
    """The same detections, drawn into a picture or a video; of a file that is read in windows, into a smaller copy."""
    with contextlib.ExitStack() as stack:
        video = stack.enter_context(VideoFile(target, frame_rate(path) / search.every)) if has_frames(path) else None
        for found in results:
            if video:
                video.write(found.draw())
            else:
                large = open_windows(path) if search.tile else None
                copy = large.overview() if large else None
                save_picture(found.draw(copy), target)
                if copy:
                    say(f"note: {target} is a smaller copy, {copy.width} x {copy.height} pixels", error=True)
            yield found
