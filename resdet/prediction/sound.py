"""Keeps the sound of videos that are written anew, by ffmpeg where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from resdet.files import atomic_write

_LONGEST_S = 3600.0


def keep_sound(video: Path, source: Path) -> str:
    """Add the sound of ``source``, if it has any, to a video that was made of its pictures.

    The pictures are copied as they are; the sound becomes AAC. Without ffmpeg, or of a camera, nothing is done.

    Args:
        video: the MP4 file.
        source: the video with the sound.

    Returns:
        Why the video has stayed silent when ffmpeg has failed; else "".
    """
    program = shutil.which("ffmpeg")
    if program is None or not video.is_file() or not source.is_file():
        return ""

    def add(temporary: Path) -> None:
        # file: keeps names such as "concat:…" from being more than names
        inputs = [part for path in (video, source) for part in ("-protocol_whitelist", "file", "-i", f"file:{path.resolve()}")]
        options = ["-map", "0:v:0", "-map", "1:a?", "-c:v", "copy", "-c:a", "aac", "-f", "mp4"]
        command = [program, "-nostdin", "-loglevel", "error", "-y", *inputs, *options, f"file:{temporary.resolve()}"]
        subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST_S)  # noqa: S603 - a list, and no shell

    try:
        atomic_write(video, add)
    except (OSError, subprocess.SubprocessError) as error:
        told = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else str(error)
        return f"{video}: without sound, ffmpeg has failed: {' '.join(told.split())[:200]}"
    return ""
