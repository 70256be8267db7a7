import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.data.transforms import (
    ClassificationTestTransform,
    ClassificationTrainTransform,
    DetectionTestTransform,
    DetectionTrainTransform,
    lighting_noise,
    resized_size,
)
from resdet.errors import DataError
from resdet.structures import Target

SIDES = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("size", "short", "longest", "expected"),
    [
        ((480, 640), 600, 1000, (600, 800)),
        ((640, 480), 600, 1000, (800, 600)),
        ((300, 900), 600, 1000, (333, 1000)),
        ((600, 800), 600, 1000, (600, 800)),
        ((375, 500), 600, 1000, (600, 800)),
        ((1, 1000), 600, 1000, (1, 1000)),
        ((3, 5), 4, 100, (4, 7)),  # 6.67 up
    ],
)
def test_resized_size(size: tuple[int, int], short: int, longest: int, expected: tuple[int, int]) -> None:
    assert resized_size(size, short, longest) == expected


@given(SIDES, SIDES, st.integers(16, 1200), st.integers(16, 1500))
def test_resized_size_keeps_the_shape(height: int, width: int, short: int, longest: int) -> None:
    new = resized_size((height, width), short, longest)
    assert max(new) <= longest or min(new) <= short
    assert max(new) <= longest
    assert min(new) <= short
    scale = min(short / min(height, width), longest / max(height, width))
    assert all(abs(side - max(1, old * scale)) <= 0.5 + 1e-6 for side, old in zip(new, (height, width), strict=True))


def painted(height: int, width: int, box: tuple[int, int, int, int]) -> tuple[Image.Image, Target]:
    pixels = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    target = Target(torch.tensor([box], dtype=torch.float32), torch.tensor([0]), (height, width), image_id=7, path="p.jpg")
    return Image.fromarray(pixels), target


def found(image: torch.Tensor) -> torch.Tensor:
    """The edges of the painted box to a fraction of a pixel: its light in the middle row and column, as a box."""
    light = image[0].float() / 255
    rows, columns = light.max(1).values, light.max(0).values
    edges = []
    for line in (columns, rows):
        bright = (line > 0.5).nonzero()[:, 0]
        edges.append((float(bright[0]), float(bright[-1]) + 1))
    (x1, x2), (y1, y2) = edges
    return torch.tensor([x1, y1, x2, y2])


@given(st.data(), st.integers(40, 120), st.integers(40, 120), st.integers(30, 150), st.integers(0, 1))
def test_boxes_follow_the_pixels(data: st.DataObject, height: int, width: int, short: int, flip: int) -> None:
    x1, y1 = data.draw(st.integers(0, width - 12)), data.draw(st.integers(0, height - 12))
    x2, y2 = data.draw(st.integers(x1 + 8, width)), data.draw(st.integers(y1 + 8, height))
    image, target = DetectionTrainTransform((short,), 200, float(flip))(*painted(height, width, (x1, y1, x2, y2)))
    assert image.dtype == torch.uint8
    assert image.shape == (3, *target.size)
    assert target.size == resized_size((height, width), short, 200)
    assert (target.image_id, target.path) == (7, "p.jpg")
    # half a pixel: where an edge falls between two, the brighter one counts
    assert (found(image) - target.boxes[0]).abs().max() <= 0.75


@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 10), st.integers(0, 10))
def test_a_flip_is_its_own_inverse_and_keeps_areas(height: int, width: int, x: int, y: int) -> None:
    image, target = painted(height, width, (x, y, x + 9, y + 5))
    flip = DetectionTrainTransform((min(height, width),), 100, 1.0)
    once_image, once = flip(image, target)
    assert once.boxes.tolist() == [[width - x - 9, y, width - x, y + 5]]
    twice_image, twice = flip(Image.fromarray(once_image.permute(1, 2, 0).numpy()), once)
    assert torch.equal(twice.boxes, target.boxes)
    assert np.array_equal(twice_image.permute(1, 2, 0).numpy(), np.asarray(image))


def test_short_sides_are_drawn_from_the_list() -> None:
    torch.manual_seed(0)
    transform = DetectionTrainTransform((32, 48, 64), 1000, 0.5)
    sizes = [transform(*painted(50, 60, (1, 2, 30, 40)))[1].size for _ in range(60)]
    assert {min(size) for size in sizes} == {32, 48, 64}


def test_detection_test_transform_is_pils_bilinear_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (37, 53, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (37, 53))
    tensor, target = DetectionTestTransform(20, 100)(image, empty)
    expected = np.asarray(image.resize((29, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), expected)
    assert target.boxes.shape == (0, 4)
    assert target.size == (20, 29)


def test_classification_test_transform() -> None:
    pixels = np.arange(10 * 14 * 3, dtype=np.uint8).reshape(10, 14, 3)
    plain = ClassificationTestTransform(0, 6)(Image.fromarray(pixels))
    assert np.array_equal(plain.permute(1, 2, 0).numpy(), pixels[2:8, 4:10])
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 150, 3), dtype=np.uint8))
    resized = np.asarray(image.resize((75, 50), Image.Resampling.BILINEAR))
    crop = ClassificationTestTransform(50, 40)(image)
    assert np.array_equal(crop.permute(1, 2, 0).numpy(), resized[5:45, 18:58])


@given(st.integers(0, 2**31), st.integers(0, 4), st.integers(4, 12))
def test_a_training_crop_is_a_window_of_the_padded_image(seed: int, pad: int, crop: int) -> None:
    torch.manual_seed(seed)
    pixels = np.random.default_rng(1).integers(1, 255, (12, 14, 3), dtype=np.uint8)
    result = ClassificationTrainTransform(crop, (), pad, 0.5, 0.0)(Image.fromarray(pixels)).permute(1, 2, 0).numpy()
    padded = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (crop, crop, 3)).reshape(-1, crop, crop, 3)
    assert any(np.array_equal(window, result) or np.array_equal(window[:, ::-1], result) for window in windows)


def test_the_training_crop_reaches_every_place_and_both_flips() -> None:
    torch.manual_seed(0)
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3, 1).repeat(3, 2)
    transform = ClassificationTrainTransform(2, (), 0, 0.5, 0.0)
    seen = {tuple(transform(Image.fromarray(pixels))[0].flatten().tolist()) for _ in range(300)}
    assert len(seen) == 8


def test_training_resize_is_drawn_between_its_ends() -> None:
    torch.manual_seed(0)
    transform = ClassificationTrainTransform(24, (24, 26), 0, 0.5, 0.1)
    assert {tuple(transform(Image.new("RGB", (60, 48))).shape) for _ in range(30)} == {(3, 24, 24)}


def test_an_image_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(DataError, match=r"12 x 10 pixels are less than the crop of 20; set data.short_side"):
        ClassificationTrainTransform(20, (), 2, 0.5, 0.0)(Image.new("RGB", (8, 6)))


def test_lighting_noise_has_the_covariance_of_its_constants() -> None:
    torch.manual_seed(3)
    grey = torch.full((3, 2, 2), 128, dtype=torch.uint8)
    shifts = torch.stack([lighting_noise(grey, 1.0)[:, 0, 0].double() - 128 for _ in range(4000)]) / 255
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = vectors @ np.diag(np.array([0.2175, 0.0188, 0.0045]) ** 2) @ vectors.T
    assert np.allclose(np.cov(shifts.T.numpy()), expected, atol=0.0012)
    assert float(shifts.mean().abs()) < 0.01


def test_lighting_noise_stays_an_image() -> None:
    torch.manual_seed(0)
    image = torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 4, 1)
    for _ in range(20):
        result = lighting_noise(image, 1.0)
        assert result.dtype == torch.uint8
        assert result.shape == image.shape
        assert bool((result[:, :, 0] <= result[:, :, 1]).all())  # clamped, not wrapped around
    assert torch.equal(lighting_noise(image, 0.0), image)
    assert math.isclose(float(image.float().mean()), 127.5)
