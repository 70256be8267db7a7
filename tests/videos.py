"""Small videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def written_video(path: Path, frames: Sequence[np.ndarray], rate: float = 10.0) -> Path:
    """RGB frames uint8 (H, W, 3) as a Motion JPEG video, which keeps them nearly as they are."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
