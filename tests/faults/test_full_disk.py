"""A disk that is full, as the system has it: torch and safetensors write by themselves, and tell of it in their own errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resdet.files import atomic_write

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import resource, signal, sys
from pathlib import Path
import torch
from torch import nn
from resdet.engine.checkpoint import save_state
from resdet.engine.optimizer import build_sgd
from resdet.models.model_file import ModelCard, write_model

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the write fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
model = nn.Linear(300, 300)
card = ModelCard("detection", {}, ["a"], {}, {})
write = {
    "state.pt": lambda path: save_state(path, model, build_sgd(model, 0.1, 0.9, 0), 1),
    "model.safetensors": lambda path: write_model(path, model.state_dict(), card),
}[sys.argv[2]]
try:
    write(Path(sys.argv[1]) / sys.argv[2])
except OSError as error:
    print(error.errno, error.filename, error.strerror)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process as Linux has them")
@pytest.mark.parametrize("name", ["state.pt", "model.safetensors"])
def test_what_a_library_could_not_write_is_an_error_of_the_system_that_names_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), name], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    number, file, reason = done.stdout.strip().split(" ", 2)
    assert (done.returncode, file) == (0, str(tmp_path / name)), done.stderr
    assert (int(number), reason) in [
        (errno.EFBIG, os.strerror(errno.EFBIG)),
        (errno.EIO, "it cannot be written; is the disk full?"),
    ]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"old")]


def test_an_error_of_the_system_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        with path.open("wb"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(tmp_path / "a.json", fail)
    assert caught.value.filename == str(tmp_path / "a.json")

    def of_another(_: Path) -> None:
        (tmp_path / "gone").read_bytes()

    with pytest.raises(FileNotFoundError) as missing:
        atomic_write(tmp_path / "a.json", of_another)
    assert missing.value.filename == str(tmp_path / "gone")

    with pytest.raises(RuntimeError, match="another kind"):
        atomic_write(tmp_path / "a.json", lambda path: (_ for _ in ()).throw(RuntimeError("another kind")))


LAST_BLOCK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from PIL import Image
from resdet.data.synthetic.scenes import make_shapes
from resdet.prediction.written import VideoFile, save_picture

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8))
def film():
    with VideoFile(Path("clip.mp4"), 25) as video:
        for _ in range(5):
            video.write(noise)

for write in (
    film,
    lambda: save_picture(noise, Path("picture.jpg")),
    lambda: save_picture(noise, Path("picture.png")),
    lambda: make_shapes("shapes", train=1, val=1, size=256, seed=0),
):
    try:
        write()
    except OSError as error:
        print(error.filename, error.errno)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process as Linux has them")
def test_a_picture_or_video_of_which_the_last_block_has_no_room_is_told_and_not_cut(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", LAST_BLOCK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    names = ("picture.jpg", "picture.png", "shapes")
    expected = [f"clip.mp4 {errno.EIO}", *(f"{name} {errno.EFBIG}" for name in names)]
    assert done.stdout.splitlines() == expected, done.stderr
    assert list(tmp_path.iterdir()) == []
