"""Frames of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from videos import written_video

from resdet.errors import DataError
from resdet.inference.video import frame_count, frame_rate, is_camera, is_video_name, video_frames

COLORS = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return written_video(tmp_path / "clip.avi", [np.full((48, 64, 3), color, np.uint8) for color in COLORS], rate=12.5)


def test_all_frames_in_order_and_in_rgb(clip: Path) -> None:
    for source in (clip, str(clip)):
        numbers, frames = zip(*video_frames(source), strict=True)
        assert numbers == (0, 1, 2)
        assert [(frame.mode, frame.size) for frame in frames] == [("RGB", (64, 48))] * 3
        for frame, color in zip(frames, COLORS, strict=True):
            # JPEG keeps one colour but for a few steps
            assert np.abs(np.asarray(frame, int).mean((0, 1)) - color).max() < 8


@pytest.mark.parametrize(("every", "numbers"), [(2, [0, 2]), (3, [0]), (5, [0])])
def test_every_so_many_frames(clip: Path, every: int, numbers: list[int]) -> None:
    frames = list(video_frames(clip, every))
    assert [number for number, _ in frames] == numbers
    for number, frame in frames:
        assert np.abs(np.asarray(frame, int).mean((0, 1)) - COLORS[number]).max() < 8


def test_frames_are_read_one_at_a_time(clip: Path) -> None:
    frames = video_frames(clip)
    next(frames)
    content = clip.read_bytes()
    assert len(content) > 1000
    frames.close()  # which lets the file go
    clip.unlink()


def test_frames_a_second(clip: Path, tmp_path: Path) -> None:
    assert frame_rate(clip) == pytest.approx(12.5)
    (tmp_path / "none.mp4").write_bytes(b"")
    assert frame_rate(tmp_path / "none.mp4") == 25


def test_videos_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"text\.mp4: no frame of this video can be read"):
        next(video_frames(tmp_path / "text.mp4"))
    with pytest.raises(DataError, match=r"gone\.mp4: no such video file"):
        next(video_frames(tmp_path / "gone.mp4"))


@pytest.mark.parametrize(
    ("name", "expected"), [("a.mp4", True), ("x/A.AVI", True), ("a.webm", True), ("a.jpg", False), ("mp4", False)]
)
def test_names_of_videos(name: str, expected: bool) -> None:
    assert is_video_name(name) is is_video_name(Path(name)) is expected


class Camera:
    """In place of OpenCV's capture: camera 1 gives frames without end, others none."""

    def __init__(self, source: object) -> None:
        self.source, self.taken, self.released = source, 0, False
        CAMERAS.append(self)

    def read(self) -> tuple[bool, np.ndarray]:
        self.taken += 1
        return self.source == 1, np.full((48, 64, 3), COLORS[self.taken % 3], np.uint8)

    def grab(self) -> bool:
        self.taken += 1
        return True

    def get(self, _: int) -> float:
        return -1.0 if self.source == 1 else 0.0

    def release(self) -> None:
        self.released = True


CAMERAS: list[Camera] = []


def test_cameras_have_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    assert [is_camera(name) for name in ("0", "1", Path("12"))] == [True] * 3
    assert [is_camera(name) for name in ("7", "123", "-1", "1.5", "a", "", "²", "0.jpg")] == [False] * 8
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    frames = video_frames("1", every=2)
    assert [next(frames)[0] for _ in range(3)] == [0, 2, 4]
    frames.close()
    assert (CAMERAS[-1].taken, CAMERAS[-1].released) == (5, True)
    assert (frame_rate("1"), frame_count("1")) == (25, None)
    with pytest.raises(DataError, match="0: this camera gives no picture"):
        next(video_frames("0"))
