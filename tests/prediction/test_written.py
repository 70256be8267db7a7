"""Where the annotated pictures of ``predict`` go, and what is written of them."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePath

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.errors import ConfigError, ResdetError
from resdet.inference.video import frame_rate, video_frames
from resdet.prediction.written import (
    VideoFile,
    classification_row,
    detection_row,
    distinct_names,
    fitted,
    refuse_to_overwrite,
    save_picture,
    written_suffix,
)
from resdet.structures import Classification, Detections


def test_files_keep_their_place() -> None:
    assert distinct_names([PurePath("x/a.jpg"), PurePath("b.tar.png"), PurePath("bare")]) == ["x/a", "b.tar", "bare"]


def test_equal_names_are_numbered() -> None:
    files = [PurePath(name) for name in ("a.jpg", "a.png", "A.JPG", "a_2.jpg", "z/a.jpg")]
    assert distinct_names(files) == ["a", "a_2", "A_3", "a_2_2", "z/a"]


def test_suffixes_say_the_format_that_is_written() -> None:
    files = ["a.png", "a.gif", "a.tiff", "clip.mp4", "clip.AVI", "photo.JPEG", "two.dots.webp", "bare"]
    expected = [".png", ".png", ".png", ".mp4", ".mp4", ".JPEG", ".png", ".png"]
    assert [written_suffix(Path(name)) for name in files] == expected


@given(
    st.lists(
        st.sampled_from(["a.jpg", "A.jpg", "a_2.jpg", "a.png", "a.gif", "a.mp4", "x/a.avi", "b", "a_2_2.jpg"]), max_size=12
    )
)
def test_no_two_files_have_one_name(given: list[str]) -> None:
    """On no file system, also where names differ in case only."""
    names = distinct_names([PurePath(name) for name in given])
    assert len({name.lower() for name in names}) == len(given)
    assert [PurePath(name).parent for name in names] == [PurePath(name).parent for name in given]


def test_inputs_are_not_overwritten(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (3, 3)).save(tmp_path / name)
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    refuse_to_overwrite(files, [tmp_path / "out" / file.name for file in files])
    with pytest.raises(ConfigError) as caught:
        refuse_to_overwrite(files, [tmp_path / ".." / tmp_path.name / file.name for file in files])
    assert [problem.rpartition(" ")[2] for problem in caught.value.problems] == ["a.png", "b.png"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").hardlink_to(tmp_path / "b.png")  # another name of an input
    with pytest.raises(ConfigError, match=r"--output .*out: would overwrite the input a\.png"):
        refuse_to_overwrite(files, [tmp_path / "out" / file.name for file in files])


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
    frames = [frame for _, frame in video_frames(target)]
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


@given(st.text(st.sampled_from("aé/漢\udc80"), max_size=300), st.sampled_from([".txt", "_12.png"]))
def test_names_that_file_systems_take(name: str, ending: str) -> None:
    shown = fitted(name, ending)
    last = PurePath(f"x{name}").name
    assert shown.endswith(ending)
    assert shown.rpartition("/")[0] == name.rpartition("/")[0]
    assert len(os.fsencode(shown.rpartition("/")[2])) <= 255
    if len(os.fsencode(last)) < 240:
        assert shown == name + ending


def test_long_names_stay_distinct() -> None:
    assert len({fitted("a" * 300 + end, ".png") for end in ("", "b", "c")}) == 3
