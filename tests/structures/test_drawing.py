from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.structures.drawing import _covered, caption_size, class_color, draw_boxes

RED = (255, 0, 0)


def canvas(width=200, height=150, mode="RGB"):
    return Image.new(mode, (width, height), 128 if mode == "L" else (128, 128, 128))


def changed(before, after):
    """Bool (H, W): which pixels differ."""
    return (np.asarray(before) != np.asarray(after)).any(2)


def test_the_outline_is_at_the_box_and_the_original_stays():
    image = canvas()
    picture = draw_boxes(image, torch.tensor([[50.0, 40.0, 150.0, 120.0]]), [""], [RED])
    pixels = np.asarray(picture)
    for y, x in ((40, 100), (120, 100), (80, 50), (80, 150)):
        assert tuple(pixels[y, x]) == RED
    assert not changed(image, picture)[60:100, 70:130].any()  # the inside stays visible
    assert (np.asarray(image) == 128).all()


def test_no_boxes_and_other_modes():
    image = canvas(mode="L")
    picture = draw_boxes(image, np.zeros((0, 4)), [], [])
    assert picture.mode == "RGB"
    assert (np.asarray(picture) == 128).all()


def test_a_caption_is_above_its_box_or_inside_at_the_top():
    image = canvas()
    for top, inside in ((60, False), (0, True)):
        bare = draw_boxes(image, [[50, top, 150, 140]], [""], [RED])
        rows = np.flatnonzero(changed(bare, draw_boxes(image, [[50, top, 150, 140]], ["cat 0.97"], [RED])).any(1))
        assert (rows >= top).all() if inside else (rows <= top).all()


def test_captions_of_equal_boxes_do_not_hide_each_other():
    image = canvas(400, 300)
    boxes = [[100, 100, 300, 200]] * 3
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pixels = np.asarray(draw_boxes(image, boxes, ["one", "two", "three"], colors)).reshape(-1, 3)
    filled = [(pixels == color).all(1).sum() for color in colors]
    assert min(filled) > 150


def test_the_first_box_is_on_top():
    pixels = np.asarray(draw_boxes(canvas(), [[50, 50, 150, 100]] * 2, ["", ""], [RED, (0, 0, 255)]))
    assert tuple(pixels[50, 100]) == RED


coordinate = st.floats(-500, 500)


@given(st.integers(1, 60), st.integers(1, 60), st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=4))
def test_any_box_on_any_picture_can_be_drawn(width, height, boxes):
    image = canvas(width, height)
    picture = draw_boxes(image, np.array(boxes).reshape(-1, 4), ["a long caption gj"] * len(boxes), [RED] * len(boxes))
    assert picture.size == image.size


def test_colors_are_stable_and_apart():
    colors = [class_color(label) for label in range(80)]
    assert colors == [class_color(label) for label in range(80)]
    assert len(set(colors)) == 80
    assert all(0 <= value <= 255 for color in colors for value in color)
    first = np.array(colors[:8])
    assert min(np.abs(a - b).sum() for i, a in enumerate(first) for b in first[:i]) > 60


def test_text_grows_with_the_picture_within_limits():
    assert [caption_size(*size) for size in ((64, 64), (640, 480), (4000, 3000))] == [11, 15, 48]


def test_lengths_that_differ():
    with pytest.raises(ValueError, match="got 1, 2 and 1"):
        draw_boxes(canvas(), [[0, 0, 1, 1]], ["a", "b"], [RED])


def test_a_caption_stands_where_it_covers_others_least():
    rng = np.random.default_rng(0)
    places, others = (np.sort(rng.integers(0, 50, (count, 2, 2)), axis=1).reshape(-1, 4) * 1.0 for count in (8, 30))
    mask = np.zeros((50, 50))
    for x1, y1, x2, y2 in others.astype(int):
        mask[y1:y2, x1:x2] += 1
    expected = [mask[y1:y2, x1:x2].sum() for x1, y1, x2, y2 in places.astype(int)]
    np.testing.assert_allclose(_covered(places, others), expected)
    assert (_covered(places, np.empty((0, 4))) == 0).all()


def test_thousands_of_captions_do_not_take_minutes():
    corners = np.random.default_rng(0).integers(0, 900, (3000, 2))
    started = time.process_time()
    draw_boxes(canvas(1000, 1000), np.hstack([corners, corners + 50]), ["a caption"] * 3000, [RED] * 3000)
    assert time.process_time() - started < 15  # every one beside every other took 32
