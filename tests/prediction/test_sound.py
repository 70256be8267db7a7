"""The sound of videos: with ffmpeg itself where it is installed, and with a program in its place that notes its arguments."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from videos import written_video

from resdet.inference.video import video_frames
from resdet.prediction.sound import keep_sound

HAS_FFMPEG = shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    return written_video(tmp_path / "drawn.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 10)


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called ffmpeg, alone on PATH."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/bin:/usr/bin")
    return path


def test_arguments_are_a_list_and_names_no_more_than_names(
    silent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "-i; touch gone $(x) .avi"
    source.write_bytes(b"sound")
    program(
        tmp_path,
        f"printf '%s\\n' \"$@\" > '{tmp_path}/arguments'\nfor last; do :; done\ncp '{source}' \"${{last#file:}}\"",
        monkeypatch,
    )
    assert keep_sound(silent, source) == ""
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert f"file:{source.resolve()}" in arguments
    assert arguments[arguments.index("-map") : arguments.index("-f")] == [
        *("-map", "0:v:0", "-map", "1:a?", "-c:v", "copy", "-c:a", "aac"),
    ]
    assert silent.read_bytes() == b"sound"
    assert not (tmp_path / "gone").exists()


def test_a_failure_is_told_and_the_video_stays(silent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = silent.read_bytes()
    program(tmp_path, "echo 'no such\ncodec' >&2; exit 3", monkeypatch)
    told = keep_sound(silent, silent)
    assert told == f"{silent}: without sound, ffmpeg has failed: no such codec"
    assert silent.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "drawn.mp4"]


def test_without_ffmpeg_or_a_file_nothing_is_done(silent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = silent.read_bytes()
    assert keep_sound(silent, tmp_path / "0") == ""  # a camera
    monkeypatch.setenv("PATH", str(tmp_path))
    assert keep_sound(silent, silent) == ""
    assert silent.read_bytes() == before


@pytest.mark.skipif(not HAS_FFMPEG, reason="ffmpeg is not installed")
@pytest.mark.parametrize("sound", [True, False])
def test_ffmpeg_keeps_sound_and_pictures(sound: bool, silent: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"] if sound else []
    picture = ["-f", "lavfi", "-i", "color=red:size=64x48:rate=10:duration=1"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *picture, *tone, str(source)], check=True, timeout=100)
    assert keep_sound(silent, source) == ""
    probe = ["ffprobe", "-loglevel", "error", "-show_entries", "stream=codec_type,duration", "-of", "csv=p=0", str(silent)]
    streams = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=100).stdout.split()
    assert [line.split(",")[0] for line in streams] == ["video", *(["audio"] if sound else [])]
    assert all(abs(float(line.split(",")[1]) - 1) < 0.1 for line in streams)  # AAC's packets are 1024 samples long
    frames = list(video_frames(silent))
    assert len(frames) == 10
    assert np.abs(np.asarray(frames[0][1]).astype(int) - 90).max() < 8
