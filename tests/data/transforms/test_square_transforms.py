"""Further transforms of a classifier's square, and images that come several times in a batch."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from resdet.config.schema import ClassificationDataConfig
from resdet.data.loading.samplers import endless_batches, repeated
from resdet.data.sources.classification import build_train_transform
from resdet.data.transforms.augmentation import SQUARE_TRANSFORMS, build_square_augmentation
from resdet.errors import ConfigError

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8))


def square(*transforms: object) -> torch.Tensor:
    data = ClassificationDataConfig(crop=32, short_side=[], lighting=0, hflip=0, transforms=list(transforms))
    torch.manual_seed(0)
    return build_train_transform(data)(PICTURE)


@pytest.mark.parametrize("name", SQUARE_TRANSFORMS)
def test_each_keeps_the_square_and_is_of_the_seed(name: str) -> None:
    arguments = {"GaussianBlur": {"kernel_size": 3}, "JPEG": {"quality": 50}, "RandomPosterize": {"bits": 2}}
    arguments |= {"RandomSolarize": {"threshold": 128}, "RandomAdjustSharpness": {"sharpness_factor": 2}}
    entry = {"name": name, **arguments.get(name, {})}
    found = square(entry)
    assert (found.shape, found.dtype) == ((3, 32, 32), torch.uint8)
    assert torch.equal(square(entry), found)


def test_they_follow_the_crop_in_order() -> None:
    """By hand: the draws of the crop first, then those of each transform."""
    erase = {"name": "RandomErasing", "p": 1.0, "value": [1, 2, 3]}
    plain = square()
    found = square({"name": "RandomInvert", "p": 1.0}, erase)
    torch.manual_seed(0)
    build_train_transform(ClassificationDataConfig(crop=32, short_side=[], lighting=0, hflip=0))(PICTURE)  # its draws
    v2.RandomInvert(p=1.0)(plain)
    expected = v2.RandomErasing(p=1.0, value=[1, 2, 3])(255 - plain)
    assert torch.equal(found, expected)
    erased = (found == torch.tensor([1, 2, 3], dtype=torch.uint8).view(3, 1, 1)).all(0)
    assert 0.02 * 32 * 32 - 32 <= erased.sum() < 32 * 32


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "TrivialAugmentWiede",
            r"'TrivialAugmentWiede' is no transform for squares of images \(did you mean 'Trivial",
        ),
        ("RandomCrop", "'RandomCrop' is no transform for squares of images"),
        ({"name": "RandomErasing", "chance": 1}, "RandomErasing has no argument 'chance'"),
        ({"name": "RandomErasing", "p": 3}, r"RandomErasing: .*; got \{'p': 3\}"),
        (7, "must be a name of torchvision.transforms.v2"),
    ],
)
def test_mistakes(entry: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"option 'data\.transforms\[1\]': .*{problem}"):
        build_square_augmentation(["AugMix", entry])


def test_repeated_images_have_draws_of_their_own() -> None:
    once = list(islice(endless_batches(10, 3, seed=0), 7))
    found = list(repeated(iter(once), 4))
    for batch, own in zip(found, once, strict=True):
        assert [index for index, _ in batch] == [index for index, _ in own] * 4
    draws = [draw for batch in found for _, draw in batch]
    assert len(set(draws)) == len(draws) == 7 * 12
    assert list(repeated(iter(once), 1)) == once
    again = list(repeated(islice(endless_batches(10, 3, seed=0, start=5), 2), 4))
    assert again == found[5:]
