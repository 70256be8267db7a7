"""Run a trained model, or an ensemble of detectors, on images, folders, globs or videos."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resdet.commands.common import add_inference_arguments, is_override
from resdet.errors import ConfigError, DataError

if TYPE_CHECKING:
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.detector import Detector
    from resdet.structures import Detections

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")


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
    from resdet.files import write_json
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.load import load
    from resdet.inference.localizer import Localizer

    if not 0 <= args.score_thresh <= 1:
        raise ConfigError(f"--score-thresh must be in [0, 1], got {args.score_thresh}")
    weights, paths, overrides = separate_arguments(args.weights, args.paths)
    test = detector_options(overrides)
    files = find_inputs(paths)
    output = Path(args.output)
    targets = distinct_targets(files, output)
    model = load(weights, device=args.device, precision=args.precision, compiled=args.compile, test=test)
    if isinstance(model, Localizer):
        raise ConfigError(f"--weights {weights[0]}: holds a localizer, which must be told the classes; `resdet eval` does")
    if not isinstance(model, ImageClassifier):  # which draws nothing
        _refuse_to_overwrite(files, targets)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for source, target in zip(files, targets, strict=True):
        try:
            if isinstance(model, ImageClassifier):
                rows.append(_classify(model, source))
            elif source.suffix.lower() in VIDEO_SUFFIXES:
                rows.extend(_detect_video(model, source, target, args.score_thresh))
            else:
                rows.append(_detect_image(model, source, target, args.score_thresh))
        except DataError as error:
            problems += error.problems
    write_json(output / "predictions.json", rows)
    print(f"{len(files) - len(problems)} of {len(files)} files done, written: {output}", file=sys.stderr)
    if problems:
        raise DataError(problems)
    return 0


def separate_arguments(weights: Sequence[str], others: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Model files, paths and ``key=value`` options of a command line in which they may follow each other.

    Args:
        weights: what follows ``--weights``: a model file, more of them by their suffix ``.safetensors``, then anything.
        others: paths and options that stand elsewhere.

    Raises:
        ConfigError: when there is no path.
    """
    first, *rest = weights
    files = [first, *(item for item in rest if item.endswith(".safetensors"))]
    rest = [item for item in rest if item not in files] + list(others)
    overrides = [item for item in rest if is_override(item)]
    paths = [item for item in rest if item not in overrides]
    if not paths:
        raise ConfigError("predict needs at least one PATH: an image, a folder of images, a glob, or a video")
    return files, paths, overrides


def detector_options(overrides: Sequence[str]) -> dict[str, Any]:
    """``["model.test.refine=true"]`` as ``{"refine": True}``; a ConfigError for each option of another section."""
    import yaml

    options: dict[str, Any] = {}
    problems = []
    for text in overrides:
        key, _, value = text.partition("=")
        if not key.startswith("model.test."):
            problems.append(f"argument {text!r}: predict changes options of 'model.test' only")
            continue
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed = value
        options[key.removeprefix("model.test.")] = "" if parsed is None else parsed
    if problems:
        raise ConfigError(problems)
    return options


def find_inputs(paths: Sequence[str]) -> list[Path]:
    """The files that the arguments mean, sorted within a folder or glob.

    Raises:
        ConfigError: for each argument that means none.
    """
    from resdet.data.formats.folder import is_image_name

    files: list[Path] = []
    problems = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if is_image_name(item.name) or item.suffix.lower() in VIDEO_SUFFIXES)
            rule = "holds no image or video"
        elif path.is_file():
            found, rule = [path], ""
        else:
            # not Path.glob, which takes no absolute patterns
            found = sorted(Path(name) for name in glob.glob(given, recursive=True) if Path(name).is_file())  # noqa: PTH207
            rule = "no such file or folder, and no glob that matches one"
        if not found:
            problems.append(f"{given}: {rule}")
        files += found
    if problems:
        raise ConfigError(problems)
    return files


def distinct_targets(files: Sequence[Path], output: Path) -> list[Path]:
    """Where each annotated picture goes: its own name in ``output``, numbered where two would share one.

    The suffix is that of the format written: pictures stay JPEG or PNG, others become PNG, videos MP4.
    """
    taken: set[str] = set()
    targets = []
    for file in files:
        suffix = _written_suffix(file)
        name, number = f"{file.stem}{suffix}", 2
        while name.lower() in taken:
            name, number = f"{file.stem}_{number}{suffix}", number + 1
        taken.add(name.lower())
        targets.append(output / name)
    return targets


def _written_suffix(file: Path) -> str:
    if file.suffix.lower() in VIDEO_SUFFIXES:
        return ".mp4"
    return file.suffix if file.suffix.lower() in (".jpg", ".jpeg", ".png") else ".png"


def _refuse_to_overwrite(files: Sequence[Path], targets: Sequence[Path]) -> None:
    from resdet.files import identity

    sources = set(map(identity, files))
    lost = [target for target in targets if identity(target) in sources]
    if lost:
        raise ConfigError([f"--output {target.parent}: would overwrite the input {target.name}" for target in lost])


def _classify(model: ImageClassifier, source: Path) -> dict[str, Any]:
    best = model.predict(source)
    name, score = best[0]
    print(f"{source}: {name} {score:.3f}")
    return {"file": str(source), "classes": [{"name": name, "score": score} for name, score in best]}


def _detect_image(model: Detector, source: Path, target: Path, score_thresh: float) -> dict[str, Any]:
    from resdet.files import atomic_write
    from resdet.images import read_image

    image = read_image(source)
    found = model.predict(image, score_thresh=score_thresh)
    picture = found.draw(image)
    kind = "PNG" if target.suffix.lower() == ".png" else "JPEG"
    atomic_write(target, lambda temporary: picture.save(temporary, format=kind, quality=92))
    print(f"{source}: {_summary(found)}")
    return {"file": str(source), **_row(found)}


def _detect_video(model: Detector, source: Path, target: Path, score_thresh: float) -> Iterator[dict[str, Any]]:
    import cv2
    import numpy as np
    from PIL import Image

    capture = cv2.VideoCapture(str(source))
    writer = None
    frames = 0
    try:
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            image = Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            found = model.predict(image, score_thresh=score_thresh)
            if writer is None:
                target.parent.mkdir(parents=True, exist_ok=True)
                rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
                writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), rate, image.size)
            writer.write(cv2.cvtColor(np.asarray(found.draw(image)), cv2.COLOR_RGB2BGR))
            yield {"file": str(source), "frame": frames, **_row(found)}
            frames += 1
    finally:
        capture.release()
        if writer is not None:
            writer.release()
    if not frames:
        raise DataError(f"{source}: no frame of this video can be read")
    print(f"{source}: {frames} frames")


def _row(found: Detections) -> dict[str, Any]:
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    height, width = found.size
    return {
        "width": width,
        "height": height,
        "detections": [{"box": box, "score": score, "label": label, "name": found.names[label]} for box, score, label in rows],
    }


def _summary(found: Detections) -> str:
    counts: dict[str, int] = {}
    for label in found.labels.tolist():
        counts[found.names[label]] = counts.get(found.names[label], 0) + 1
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
