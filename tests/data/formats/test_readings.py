"""Conventions that boxes may have been written in: which are recognized, and that boxes that are well are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from resdet.data.formats.readings import fractions, from_fractions, mistaken, reversed_boxes


def drawn(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Boxes ``x, y, width, height`` in their images, of a quarter of the sides at most, and the images' sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(220, 900, (count, 2))
    sides = rng.uniform(8, sizes / 4)
    return np.concatenate([rng.uniform(0, sizes - sides), sides], axis=1), sizes


def test_boxes_that_are_well_are_left_alone() -> None:
    for seed in range(200):
        boxes, sizes = drawn(seed)
        assert mistaken(boxes, sizes) is None
        # one object fills each image: wider than it is far from the left
        rng = np.random.default_rng(seed)
        left, right = rng.uniform(0, 0.2, (60, 2)), rng.uniform(0.7, 1, (60, 2))
        assert mistaken(np.concatenate([left * sizes, (right - left) * sizes], axis=1), sizes) is None


@pytest.mark.parametrize(("whole", "kind"), [(100, "boxes-as-hundredths"), (1000, "boxes-as-thousandths")])
def test_shares_of_the_sides(whole: int, kind: str) -> None:
    boxes, sizes = drawn(1, 400)
    sides = np.concatenate([sizes, sizes], axis=1)
    reading = mistaken(boxes / sides * whole, sizes)
    assert reading is not None
    assert reading.kind == kind
    assert np.allclose(reading.boxes(boxes / sides * whole, sizes), boxes)


def test_corners_that_all_lie_inside() -> None:
    boxes, sizes = drawn(2)
    boxes[:, :2] /= 3
    boxes[:, 2:] = 20
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + 20], axis=1)
    assert np.all(corners[:, :2] + corners[:, 2:] <= sizes + 20)
    reading = mistaken(corners, sizes + 40)
    assert reading is not None
    assert reading.kind == "boxes-as-corners"
    assert np.allclose(reading.boxes(corners, sizes), boxes)


def objects_in_the_corner(seed: int) -> np.ndarray:
    """Whole pixels, in the first hundred of each side."""
    ends = np.sort(np.random.default_rng(seed).integers(0, 99, (60, 2, 2)), axis=1)
    return np.concatenate([ends[:, 0], ends[:, 1] - ends[:, 0] + 1], axis=1).astype(float)


def further_and_larger(seed: int) -> np.ndarray:
    """Objects on a line from the left top to the right bottom, which are larger the nearer they are."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(20, 160, (60, 1)) * [1, 0.8]
    return np.concatenate([place, place * rng.uniform(1.05, 1.3, (60, 2))], axis=1)


@pytest.mark.parametrize("boxes", [objects_in_the_corner, further_and_larger])
def test_places_that_are_like_another_convention_are_left_alone(boxes) -> None:
    for seed in range(50):
        assert mistaken(boxes(seed), np.full((60, 2), 400)) is None


def test_single_fractions_in_files_of_vocs() -> None:
    boxes, sizes = drawn(3)
    sides = np.concatenate([sizes, sizes], axis=1)
    read = boxes.copy()
    read[7] = boxes[7] / sides[7] + [-1, -1, 1, 1]
    found = fractions(read, sizes)
    assert np.flatnonzero(found).tolist() == [7]
    assert np.allclose(from_fractions(read[found], sizes[found]), boxes[found])


def test_fractions_in_files_of_vocs() -> None:
    boxes, sizes = drawn(3)
    sides = np.concatenate([sizes, sizes], axis=1)
    read = boxes / sides + [-1, -1, 1, 1]  # x1 = xmin - 1, width = xmax - xmin + 1
    assert fractions(read, sizes).all()
    assert np.allclose(from_fractions(read, sizes), boxes)


@pytest.mark.parametrize("raw", ["left, top, width, height", "opposite corners in any order"])
def test_boxes_that_end_before_they_begin(raw: str) -> None:
    boxes, sizes = drawn(4)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    written = boxes if raw.startswith("left") else corners[:, [2, 3, 0, 1]]
    read = np.concatenate([written[:, :2], written[:, 2:] - written[:, :2]], axis=1)
    reading = reversed_boxes(read, sizes, cornered=True)
    assert reading is not None
    assert reading.text == raw
    assert np.allclose(reading.boxes(read, sizes), boxes)
    assert reversed_boxes(read[:2], sizes[:2], cornered=True) is None  # single mistakes


def test_sizes_below_0_of_files_that_hold_sizes() -> None:
    boxes, sizes = drawn(4)
    read = np.concatenate([boxes[:, :2] + boxes[:, 2:], -boxes[:, 2:]], axis=1)
    reading = reversed_boxes(read, sizes, cornered=False)
    assert reading is not None
    assert reading.text == "any corner, and the way to the opposite one"
    assert np.allclose(reading.boxes(read, sizes), boxes)
