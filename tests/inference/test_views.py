"""The views of an image: which pixels they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as F

from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.errors import ConfigError, DataError
from resdet.inference.views import ViewedImages, Views, ten_crop, whole_image


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).transpose(2, 0, 1)


@given(width=st.integers(1, 60), height=st.integers(1, 60), crop=st.integers(1, 40), seed=st.integers(0, 9))
def test_ten_crop_is_five_squares_and_the_same_of_the_mirror_image(width: int, height: int, crop: int, seed: int) -> None:
    image = picture(width, height, seed)
    found = ten_crop(image, 0, crop)
    assert found.shape == (10, 3, crop, crop)
    assert found.dtype == torch.uint8
    left, top = max(0, crop - width) // 2, max(0, crop - height) // 2
    frame = np.zeros((3, max(height, crop), max(width, crop)), np.uint8)
    frame[:, top : top + height, left : left + width] = pixels(image)
    down, right = frame.shape[1] - crop, frame.shape[2] - crop
    corners = ((0, 0), (0, right), (down, 0), (down, right), (round(down / 2), round(right / 2)))
    for number, (y, x) in enumerate(corners):
        for start, source in ((0, frame), (5, frame[:, :, ::-1])):
            assert np.array_equal(found[start + number].numpy(), source[:, y : y + crop, x : x + crop])


def test_images_are_resized_by_their_shorter_side_before_they_are_cut() -> None:
    image = picture(101, 40)
    resized = pixels(image.resize((50, 20), Image.Resampling.BILINEAR))  # 20 * 101 / 40 = 50.5, cut
    assert np.array_equal(whole_image(image, 20).numpy(), resized[None])
    assert np.array_equal(ten_crop(image, 20, 16)[0].numpy(), resized[:, :16, :16])
    assert np.array_equal(whole_image(image, 0).numpy(), pixels(image)[None])


def test_the_mirrored_view_is_the_second() -> None:
    image = picture(30, 20)
    found = whole_image(image, 0, flip=True)
    assert found.shape == (2, 3, 20, 30)
    assert np.array_equal(found[1].numpy(), pixels(image)[:, :, ::-1])


@pytest.mark.parametrize(
    ("views", "shapes"),
    [
        (Views("center", (40,), 32), [(1, 3, 32, 32)]),
        (Views("center", (0, 64), 32), [(1, 3, 32, 32)] * 2),
        (Views("ten_crop", (40, 64), 32), [(10, 3, 32, 32)] * 2),
        (Views("dense", (20, 30), 32), [(1, 3, 20, 40), (1, 3, 30, 60)]),
        (Views("dense", (20, 30), 32, flip=True), [(2, 3, 20, 40), (2, 3, 30, 60)]),
    ],
)
def test_one_tensor_a_scale(views: Views, shapes: list[tuple[int, ...]]) -> None:
    assert [tuple(scale.shape) for scale in views(picture(100, 50))] == shapes


def test_the_centre_view_is_that_of_training_time_evaluation() -> None:
    image = picture(77, 50)
    (found,) = Views("center", (40,), 32)(image)
    assert torch.equal(found[0], ClassificationTestTransform(40, 32)(image))


def test_every_option_out_of_range_is_told() -> None:
    with pytest.raises(ConfigError) as error:
        Views("centre", (), 0, flip=True)
    assert error.value.problems == (
        "views: 'kind' must be one of center, ten_crop, dense, got 'centre'",
        "views: 'short_sides' must be at least one number, each at least 0, got ()",
        "views: 'crop' must be at least 1, got 0",
        "views: 'flip' goes with dense, got 'centre'",
    )
    with pytest.raises(ConfigError, match=r"each at least 0, got \(256, -1\)"):
        Views("dense", (256, -1), 224)


class Pictures:
    """Three labelled pictures of one size; the last cannot be read."""

    names = ("a", "b")

    def __len__(self) -> int:
        return 3

    def path(self, index: int) -> Path:
        return Path(f"{index}.png")

    def label(self, index: int) -> int:
        return index % 2

    def load(self, index: int) -> Image.Image:
        if index == 2:
            raise DataError("2.png: cannot be read")
        return picture(20, 10, seed=index)


def test_a_batch_stacks_the_images_of_each_scale() -> None:
    views = Views("ten_crop", (10, 12), 8)
    (batch,) = ViewedImages(Pictures(), views).batch([(1, 0), (0, 0)])
    assert batch.labels.tolist() == [1, 0]
    assert batch.labels.dtype == torch.int64
    assert [tuple(scale.shape) for scale in batch.scales] == [(2, 10, 3, 8, 8)] * 2
    for position, index in enumerate((1, 0)):
        for scale, alone in zip(batch.scales, views(picture(20, 10, seed=index)), strict=True):
            assert torch.equal(scale[position], alone)
    with pytest.raises(DataError, match=r"2\.png"):
        ViewedImages(Pictures(), views).batch([(2, 0)])


def test_whole_images_of_one_size_go_together_and_keep_their_order() -> None:
    class Sizes(Pictures):
        def load(self, index: int) -> Image.Image:
            return picture(*[(20, 10), (20, 10), (12, 10), (20, 10)][index], seed=index)

    batches = ViewedImages(Sizes(), Views("dense", (10, 5), 8)).batch([(index, 0) for index in range(4)])
    assert [batch.labels.tolist() for batch in batches] == [[0, 1], [0], [1]]
    assert [tuple(batch.scales[0].shape) for batch in batches] == [(2, 1, 3, 10, 20), (1, 1, 3, 10, 12), (1, 1, 3, 10, 20)]
    assert torch.equal(batches[2].scales[0][0, 0], F.pil_to_tensor(picture(20, 10, seed=3)))
