"""Frames of a video whose names only count on stay together; photos that are numbered do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from resdet.data.images.photo import Photo
from resdet.data.splitting.groups import following
from resdet.data.splitting.looks import looks


def picture(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((480, 240), Image.Resampling.BICUBIC)


def groups(paths: list[Path]) -> list[int]:
    return looks(len(paths), lambda index: Photo.of(paths[index]), following(paths))


def test_what_follows_is_the_next_number_of_one_folder() -> None:
    paths = [Path(name) for name in ("a/2.jpg", "a/10.jpg", "b/3.jpg", "a/1.jpg", "a/x_4.jpg", "a/x_6.jpg", "a/y.jpg")]
    assert sorted(following(paths)) == [(0, 1), (3, 0), (4, 5)]


def test_frames_of_a_camera_that_turns_are_one_group(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}.png" for number in range(32)]
    for number, path in enumerate(paths):
        left = 5 * (number % 8)
        picture(number // 8).crop((left, 0, left + 320, 240)).save(path)
    assert groups(paths) == [8 * (number // 8) for number in range(32)]
    assert len(set(looks(32, lambda index: Photo.of(paths[index])))) > 4  # without their names


def test_numbered_photos_are_groups_of_their_own(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}.png" for number in range(40)]
    for number, path in enumerate(paths):
        picture(100 + number).save(path)
    assert groups(paths) == list(range(40))


def test_a_camera_that_stands_still_says_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}.png" for number in range(12)]
    for number, path in enumerate(paths):
        picture(7).crop((number, 0, number + 320, 240)).save(path)
    assert groups(paths) == list(range(12))
