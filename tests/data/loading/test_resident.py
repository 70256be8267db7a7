"""Images on the device: the pixels that the transform would show, and draws that depend on seed and draw alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.data.loading.resident import ResidentImages, _hashed
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.errors import DataError

CPU = torch.device("cpu")


@dataclass
class Pictures:
    """Random pictures in memory."""

    pictures: list[np.ndarray]
    names: tuple[str, ...] = ("a", "b")

    def __len__(self) -> int:
        return len(self.pictures)

    def path(self, index: int) -> Path:
        return Path(f"picture{index}")

    def label(self, index: int) -> int:
        return index % 2

    def load(self, index: int) -> Image.Image:
        return Image.fromarray(self.pictures[index])

    def encoded(self, index: int) -> bytes | None:
        return None


@pytest.fixture
def pictures() -> Pictures:
    draw = np.random.default_rng(0)
    return Pictures([draw.integers(0, 256, (8, 10, 3), dtype=np.uint8) for _ in range(5)])


def splitmix(word: int) -> int:
    """The published step, on Python's integers."""
    mask = (1 << 64) - 1
    word = (word + 0x9E3779B97F4A7C15) & mask
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
    return word ^ (word >> 31)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_the_hash_is_splitmix64(seed: int) -> None:
    draws = [0, 1, 2, 127, 10**12]
    for number in range(3):
        found = _hashed(seed, torch.tensor(draws), number).tolist()
        assert found == [splitmix((splitmix(splitmix(seed) ^ draw) + number) & (2**64 - 1)) & 0x7FFFFFFF for draw in draws]


def test_crops_are_windows_of_the_padded_picture_and_all_occur(pictures: Pictures) -> None:
    images = ResidentImages(pictures, ClassificationTrainTransform(8, (), 2, 0.5, 0.0), 0, CPU)
    padded = np.pad(pictures.pictures[3], ((2, 2), (2, 2), (0, 0))).transpose(2, 0, 1)
    seen = set()
    for crop in images.batch([(3, draw) for draw in range(2000)]).images.numpy():
        places = [
            (top, left, flip)
            for top in range(5)
            for left in range(7)
            for flip in (False, True)
            if np.array_equal(padded[:, top : top + 8, left : left + 8][:, :, :: -1 if flip else 1], crop)
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 5 * 7 * 2  # 2,000 draws of 70 places: one is missing with probability 70 exp(-2000 / 70) < 1e-10


def test_without_choice_the_pixels_are_those_of_the_transform(pictures: Pictures) -> None:
    transform = ClassificationTrainTransform(8, (), 0, 1.0, 0.0)
    square = Pictures([picture[:, :8] for picture in pictures.pictures])
    batch = ResidentImages(square, transform, 0, CPU).batch([(index, 7 * index) for index in (4, 0, 2)])
    expected = torch.stack([transform(square.load(index)) for index in (4, 0, 2)])
    assert torch.equal(batch.images, expected)
    assert batch.labels.tolist() == [0, 0, 0]
    assert batch.paths == ("picture4", "picture0", "picture2")


def test_a_sample_does_not_depend_on_its_batch(pictures: Pictures) -> None:
    images = ResidentImages(pictures, ClassificationTrainTransform(6, (), 1, 0.5, 0.0), 5, CPU)
    together = images.batch([(index, 10 + index) for index in range(5)]).images
    alone = [images.batch([(index, 10 + index)]).images[0] for index in reversed(range(5))][::-1]
    assert torch.equal(together, torch.stack(alone))
    other = ResidentImages(pictures, ClassificationTrainTransform(6, (), 1, 0.5, 0.0), 6, CPU)
    assert not torch.equal(together, other.batch([(index, 10 + index) for index in range(5)]).images)


def test_pictures_of_another_size_are_named(pictures: Pictures) -> None:
    pictures.pictures[2] = pictures.pictures[2][:, :9]
    with pytest.raises(DataError, match=r"picture2: 9 x 8 pixels.*10 x 8.*data\.resident=false"):
        ResidentImages(pictures, ClassificationTrainTransform(8, (), 0, 0.5, 0.0), 0, CPU)


def test_pictures_below_the_crop_are_refused(pictures: Pictures) -> None:
    with pytest.raises(DataError, match=r"picture0: 12 x 10 pixels with padding are less than the crop of 11"):
        ResidentImages(pictures, ClassificationTrainTransform(11, (), 1, 0.5, 0.0), 0, CPU)


@pytest.mark.parametrize(
    "transform",
    [
        ClassificationTrainTransform(8, (8, 9), 0, 0.5, 0.0),
        ClassificationTrainTransform(8, (), 0, 0.5, 0.1),
        ClassificationTrainTransform(8, (), 0, 0.5, 0.0, crop_from="area"),
    ],
)
def test_transforms_that_resize_or_colour_are_refused(pictures: Pictures, transform: ClassificationTrainTransform) -> None:
    with pytest.raises(ValueError, match="neither resized nor coloured"):
        ResidentImages(pictures, transform, 0, CPU)
