"""Videos as pictures, and pictures as videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
from PIL import Image

from resdet.errors import DataError
from resdet.files import regular

_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
# else FFmpeg writes of a broken file what nobody can read; it is told in our words
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
_RATE = 25.0  # frames a second, where a file does not say


def is_video_name(name: str | Path) -> bool:
    """Whether a file of this name is taken for a video: by its suffix."""
    return Path(name).suffix.lower() in _SUFFIXES


def is_camera(name: str | Path) -> bool:
    """Whether a name means a camera: a number, and no file or folder of this name."""
    return str(name).isascii() and str(name).isdecimal() and len(str(name)) < 3 and not Path(name).exists()


def has_frames(name: str | Path) -> bool:
    """Whether what is called so has frames: a video or a camera."""
    return is_video_name(name) or is_camera(name)


def video_frames(path: str | Path, every: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Every so many frames of a video, from the first on, with their numbers, RGB, one read at a time; of a camera without end.

    Raises:
        DataError: when there is no frame that can be read.
    """
    if not is_camera(path):
        _check_file(path)
    capture = _opened(path)
    try:
        there, frame = capture.read()
        if not there:
            what = "this camera gives no picture" if is_camera(path) else "no frame of this video can be read"
            raise DataError(f"{path}: {what}")
        number = 0
        while there:
            yield number, Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            number += every
            there = all(capture.grab() for _ in range(every - 1))  # the frames between are not decoded
            if there:
                there, frame = capture.read()
    finally:
        capture.release()


def _opened(path: str | Path) -> cv2.VideoCapture:
    return cv2.VideoCapture(int(str(path))) if is_camera(path) else cv2.VideoCapture(str(path))


def _check_file(path: str | Path) -> None:
    if not os.path.isfile(path):  # noqa: PTH113  (False, not an error, for a name too long)
        raise DataError(f"{path}: no such video file")
    try:
        regular(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def frame_count(path: str | Path, every: int = 1) -> int | None:
    """How many frames ``video_frames`` will give, by what the file says; None where it does not, and of a camera."""
    capture = _opened(path)
    try:
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return -(-frames // every) if frames > 0 else None
    finally:
        capture.release()


def frame_rate(path: str | Path) -> float:
    """Frames a second of a video or camera; 25 where it does not say."""
    capture = _opened(path)
    try:
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        return rate if rate > 0 else _RATE
    finally:
        capture.release()
