"""Where the annotated pictures of ``predict`` go, and what is written of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.errors import ConfigError, ResdetError
from resdet.inference.video import frame_rate, video_frames
from resdet.report.predictions import (
    VideoFile,
    classification_row,
    detection_row,
    distinct_targets,
    refuse_to_overwrite,
    save_picture,
)
from resdet.structures import Classification, Detections


def test_targets_keep_their_names() -> None:
    assert distinct_targets([Path("x/a.jpg"), Path("y/b.jpg")], Path("out")) == [Path("out/a.jpg"), Path("out/b.jpg")]


def test_equal_names_are_numbered() -> None:
    files = [Path("x/a.jpg"), Path("y/a.jpg"), Path("z/A.JPG"), Path("z/a_2.jpg"), Path("a.png")]
    targets = [path.name for path in distinct_targets(files, Path("out"))]
    assert targets == ["a.jpg", "a_2.jpg", "A_3.JPG", "a_2_2.jpg", "a.png"]


def test_names_say_the_format_that_is_written() -> None:
    files = ["a.png", "a.gif", "a.tiff", "clip.mp4", "clip.AVI", "photo.JPEG", "two.dots.webp", "bare"]
    targets = [path.name for path in distinct_targets([Path(name) for name in files], Path("out"))]
    assert targets == ["a.png", "a_2.png", "a_3.png", "clip.mp4", "clip_2.mp4", "photo.JPEG", "two.dots.png", "bare.png"]


@given(
    st.lists(st.sampled_from(["a.jpg", "A.jpg", "a_2.jpg", "a.png", "a.gif", "a.mp4", "a.avi", "b", "a_2_2.jpg"]), max_size=12)
)
def test_no_two_files_are_written_to_one(given: list[str]) -> None:
    """On no file system, also where names differ in case only."""
    targets = distinct_targets([Path(str(number)) / name for number, name in enumerate(given)], Path("out"))
    assert len({str(path).lower() for path in targets}) == len(given)
    assert {path.parent for path in targets} <= {Path("out")}


def test_inputs_are_not_overwritten(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (3, 3)).save(tmp_path / name)
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    refuse_to_overwrite(files, distinct_targets(files, tmp_path / "out"))
    with pytest.raises(ConfigError) as caught:
        refuse_to_overwrite(files, distinct_targets(files, tmp_path / ".." / tmp_path.name))
    assert [problem.rpartition(" ")[2] for problem in caught.value.problems] == ["a.png", "b.png"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").hardlink_to(tmp_path / "b.png")  # another name of an input
    with pytest.raises(ConfigError, match=r"--output .*out: would overwrite the input a\.png"):
        refuse_to_overwrite(files, distinct_targets(files, tmp_path / "out"))


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.PNG", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG")])
def test_pictures_are_what_their_names_say(name: str, kind: str, tmp_path: Path) -> None:
    save_picture(Image.new("RGB", (4, 5), (9, 9, 9)), tmp_path / "new" / name)
    with Image.open(tmp_path / "new" / name) as written:
        assert (written.format, written.size) == (kind, (4, 5))


def test_a_video_is_written_frame_by_frame(tmp_path: Path) -> None:
    target = tmp_path / "new" / "clip.mp4"
    with VideoFile(target, 12.5) as video:
        assert not target.exists()
        for level in (60, 180):
            video.write(Image.new("RGB", (64, 48), (level, 20, 20)))
    assert video.frames == 2
    frames = list(video_frames(target))
    assert [frame.size for frame in frames] == [(64, 48)] * 2
    for frame, level in zip(frames, (60, 180), strict=True):
        # what MPEG-4 loses of one colour is a few steps
        assert np.abs(np.asarray(frame, int).mean((0, 1)) - (level, 20, 20)).max() < 12
    assert frame_rate(target) == pytest.approx(12.5)


def test_a_video_without_frames_leaves_no_file(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "clip.mp4", 25):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").mkdir()
    with (
        pytest.raises(ResdetError, match=r"clip\.mp4: OpenCV cannot write this video"),
        VideoFile(tmp_path / "clip.mp4", 25) as video,
    ):
        video.write(Image.new("RGB", (64, 48)))


def test_rows_of_pictures_and_frames() -> None:
    columns = (torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([0.5]), torch.tensor([1]), (40, 60), ("cat", "dog"))
    row = detection_row(Detections(*columns, image_id="x/a.jpg", path="x/a.jpg"))
    found = [{"box": [1.0, 2.0, 3.0, 4.0], "score": 0.5, "label": 1, "name": "dog"}]
    assert json.loads(json.dumps(row)) == {"file": "x/a.jpg", "width": 60, "height": 40, "detections": found}
    row = detection_row(Detections(*columns, image_id=0, path="c.mp4"))
    assert row == {"file": "c.mp4", "frame": 0, "width": 60, "height": 40, "detections": found}
    best = Classification((1,), (0.75,), ("cat", "dog"), image_id="a.jpg", path="a.jpg")
    assert classification_row(best) == {"file": "a.jpg", "classes": [{"name": "dog", "score": 0.75}]}
