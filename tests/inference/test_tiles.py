"""Windows that cover a picture, and what is found in them, merged."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_detectors import picture, same, tiny_detector
from torch import Tensor

from resdet.errors import ConfigError
from resdet.inference.detector import Detector
from resdet.inference.tiles import Tiles, detect_in_tiles, merged
from resdet.structures import Detections


@given(st.integers(1, 300), st.integers(1, 300), st.integers(32, 120), st.floats(0, 0.9))
def test_windows_cover_the_picture(height: int, width: int, side: int, overlap: float) -> None:
    windows = Tiles(side, overlap).windows((height, width))
    seen = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in windows:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert (x2 - x1, y2 - y1) == (min(side, width), min(side, height))
        seen[y1:y2, x1:x2] = True
    assert seen.all()
    for ends in ({(x1, x2) for x1, _, x2, _ in windows}, {(y1, y2) for _, y1, _, y2 in windows}):
        for (_, end), (start, _) in itertools.pairwise(sorted(ends)):
            assert end - start >= int(side * overlap) - 1  # whole pixels


def test_what_is_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        Tiles(31, 0.95)
    assert len(caught.value.problems) == 2


def squares(image: Image.Image) -> Detections:
    """A detector of white squares on black: each run of white, cut at the picture's sides as a network would see it."""
    white = np.asarray(image.convert("L")) > 128
    boxes = []
    seen = np.zeros_like(white)
    for y, x in zip(*np.nonzero(white), strict=True):
        if not seen[y, x]:
            x2, y2 = x, y
            while x2 < white.shape[1] and white[y, x2]:
                x2 += 1
            while y2 < white.shape[0] and white[y2, x]:
                y2 += 1
            seen[y:y2, x:x2] = True
            boxes.append([x, y, x2, y2])
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    area = (rows[:, 2:] - rows[:, :2]).prod(1)
    # smaller pieces are surer, so that only what is known of seams can choose the whole
    return Detections(rows, 1 / (1 + area / 1e4), torch.zeros(len(rows), dtype=torch.int64), white.shape, ("square",))


def blind_to_the_whole(image: Image.Image) -> Detections:
    """The same, but it sees nothing in pictures larger than a window, as small objects are lost when they are shrunk."""
    found = squares(image)
    return found if max(image.size) <= 128 else found[:0]


@given(st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13), st.integers(3, 20)), max_size=12), st.booleans())
def test_each_object_is_found_once_wherever_the_seams_are(places: list[tuple[int, int, int]], whole: bool) -> None:
    """Objects no larger than the overlap of 25 pixels, one in a cell of 30 at most: each found whole, and nothing else."""
    canvas = np.zeros((420, 420), np.uint8)
    expected = set()
    for row, column, side in {(row, column): (row, column, side) for row, column, side in places}.values():
        x, y = 30 * column + 5, 30 * row + 5
        canvas[y : y + side, x : x + side] = 255
        expected.add((x, y, x + side, y + side))
    found = detect_in_tiles(squares if whole else blind_to_the_whole, Image.fromarray(canvas), Tiles(128, 0.2))
    assert len(found) == len(expected)
    assert {tuple(map(round, each.box)) for each in found} == expected
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.size == (420, 420)


def test_what_is_larger_than_a_window_comes_from_the_whole_picture() -> None:
    canvas = np.zeros((300, 400), np.uint8)
    canvas[20:280, 30:380] = 255
    found = detect_in_tiles(squares, Image.fromarray(canvas), Tiles(128))
    assert [tuple(each.box) for each in found] == [(30, 20, 380, 280)]


def test_a_small_picture_is_searched_once() -> None:
    asked = []

    def detect(image: Image.Image) -> Detections:
        asked.append(image.size)
        return squares(image)

    detect_in_tiles(detect, Image.new("RGB", (100, 90)), Tiles(128))
    assert asked == [(100, 90)]


def rows(*boxes: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "cut", "kept"),
    [
        (rows(), [], [], [], []),
        (rows((0, 0, 10, 10), (0, 0, 10, 9)), [0.5, 0.9], [0, 0], [False, False], [1]),  # NMS
        (rows((0, 0, 10, 10), (0, 0, 10, 9)), [0.5, 0.9], [0, 1], [False, False], [1, 0]),  # of a class
        (rows((0, 0, 30, 10), (0, 0, 10, 10)), [0.5, 0.9], [0, 0], [False, True], [0]),  # a surer piece of a whole
        (rows((0, 0, 30, 10), (0, 0, 10, 10)), [0.5, 0.9], [0, 0], [False, False], [1, 0]),  # a part, not a piece
        (rows((0, 0, 30, 10), (0, 0, 10, 10)), [0.9, 0.5], [0, 0], [True, True], [0]),  # two pieces, one in the other
        (rows((0, 0, 30, 10), (26, 0, 36, 10)), [0.9, 0.5], [0, 0], [True, True], [0, 1]),  # two pieces side by side
    ],
)
def test_what_stays(boxes: Tensor, scores: list[float], labels: list[int], cut: list[bool], kept: list[int]) -> None:
    found = merged(
        boxes, torch.tensor(scores), torch.tensor(labels, dtype=torch.int64), torch.tensor(cut, dtype=torch.bool), 0.5
    )
    assert found.tolist() == kept


def test_a_detector_with_tiles() -> None:
    model = tiny_detector()
    large = Image.fromarray(picture(3, 160, 200).permute(1, 2, 0).numpy())
    plain, tiled = (Detector(model, short_side=64, max_side=96, tiles=tiles) for tiles in (None, Tiles(96, 0.25)))
    expected = detect_in_tiles(lambda image: plain.predict(image), large, Tiles(96, 0.25))
    found = tiled.predict(large)
    assert same(found, expected)
    assert found.size == (160, 200)
    assert len(found) > len(plain.predict(large))
    small = large.crop((0, 0, 90, 80))
    assert same(tiled.predict(small), plain.predict(small))
