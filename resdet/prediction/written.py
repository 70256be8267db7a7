"""Writes the files of ``predict``: annotated pictures and videos with distinct names, and rows of ``predictions.json``."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from resdet.errors import ConfigError, ResdetError
from resdet.files import atomic_write, identity, unfinished_folder
from resdet.images import encoded
from resdet.inference.video import frame_count, has_frames
from resdet.structures import Classification, Detections
from resdet.structures.showing import frame_of
from resdet.system import replace

_LONGEST = 255  # bytes of a name, of most file systems


def distinct_names(places: Sequence[PurePath]) -> list[str]:
    """A name for each file, with ``/`` for folders and no suffix: its own place, with a number when two would share a name."""
    return numbered([place.with_suffix("").as_posix() for place in places])


def numbered(stems: Iterable[str]) -> list[str]:
    """Names for files or folders, with a number where two would be one, which is so whatever the case of their letters."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}  # the next of each name: among many files of one name not all before it are tried again
    names = []
    for stem in stems:
        name = stem
        while name.lower() in taken:
            number = numbers.get(stem.lower(), 2)
            name, numbers[stem.lower()] = f"{stem}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def fitted(name: str, ending: str) -> str:
    """``name`` with an ending, as file systems take it: of a name that is too long the beginning, and a sum of the whole."""
    folder, slash, last = name.rpartition("/")
    room = _LONGEST - len(os.fsencode(ending))
    if len(os.fsencode(last)) > room:
        mark = f"~{hashlib.sha256(os.fsencode(last)).hexdigest()[:12]}"
        last = os.fsencode(last)[: room - len(mark)].decode(errors="ignore") + mark
    return f"{folder}{slash}{last}{ending}"


def written_suffix(file: Path) -> str:
    """The suffix of an annotated picture or video: pictures stay JPEG or PNG, others become PNG, videos MP4."""
    if has_frames(file):
        return ".mp4"
    return file.suffix if file.suffix.lower() in (".jpg", ".jpeg", ".png") else ".png"


def refuse_to_overwrite(files: Sequence[Path], targets: Sequence[Path]) -> None:
    """Raise a ConfigError that names each of ``targets`` that is also one of ``files``."""
    sources = set(map(identity, files))
    lost = [target for target in targets if identity(target) in sources]
    if lost:
        raise ConfigError([f"--output {target.parent}: would overwrite the input {target.name}" for target in lost])


def save_picture(picture: Image.Image, target: Path) -> None:
    """Write a picture as PNG or JPEG, as the suffix says, atomically."""
    kind = "PNG" if target.suffix.lower() == ".png" else "JPEG"
    content = encoded(picture, kind)
    atomic_write(target, lambda temporary: temporary.write_bytes(content))


class VideoFile:
    """An MP4 file that is written frame by frame, and takes its place when its context ends. Without a frame there is no file.

    Args:
        target: the file to write.
        rate: frames per second.

    Attributes:
        frames: the number of frames written.
    """

    def __init__(self, target: Path, rate: float) -> None:
        self.target = target
        self.rate = rate
        self.frames = 0
        self._writer: cv2.VideoWriter | None = None
        self._draft = target
        self._folder = contextlib.ExitStack()

    def write(self, picture: Image.Image) -> None:
        """Add a frame, RGB, with the size of the first one; a ResdetError when OpenCV cannot write the file."""
        if self._writer is None:
            self._draft = self._folder.enter_context(unfinished_folder(self.target)) / "video.mp4"
            self._writer = cv2.VideoWriter(str(self._draft), cv2.VideoWriter.fourcc(*"mp4v"), self.rate, picture.size)
            if self.target.is_dir() or not self._writer.isOpened():
                raise ResdetError(f"{self.target}: OpenCV cannot write this video")
        self._writer.write(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR))
        self.frames += 1

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._folder:
            if self._writer is None:
                return
            self._writer.release()
            if self.frames:
                # OpenCV does not tell of a full disk: such a file holds fewer frames, or cannot be opened
                if frame_count(self._draft) != self.frames:
                    raise OSError(errno.EIO, "it cannot be written; is the disk full?", str(self.target))
                replace(self._draft, self.target)


def detection_row(found: Detections) -> dict[str, Any]:
    """The row of ``predictions.json`` for one picture or frame: "file", "frame", its size in pixels, and "detections"."""
    height, width = found.size
    detections = [{"box": list(box), "score": score, "label": label, "name": name} for box, score, label, name in found]
    return {**_origin(found), "width": width, "height": height, "detections": detections}


def detections_of(row: Mapping[str, Any], names: Sequence[str]) -> Detections:
    """The detections of a row of ``detection_row``, by a model whose K class names are ``names``: the same numbers."""
    found = row["detections"]
    return Detections(
        torch.tensor([each["box"] for each in found], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([each["score"] for each in found], dtype=torch.float32),
        torch.tensor([each["label"] for each in found], dtype=torch.int64),
        (row["height"], row["width"]),
        names,
        row.get("frame", row["file"]),
        row["file"],
    )


def classification_row(found: Classification) -> dict[str, Any]:
    """The row of ``predictions.json`` for one picture or frame: "file", "frame", and "classes", best first."""
    return {**_origin(found), "classes": [{"name": name, "score": score} for name, score in found]}


def _origin(found: Detections | Classification) -> dict[str, Any]:
    frame = frame_of(found.path, found.image_id)
    return {"file": found.path} if frame is None else {"file": found.path, "frame": frame}
