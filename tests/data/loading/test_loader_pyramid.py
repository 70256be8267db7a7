"""A view that shows each image at several scales too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.coco import read_coco
from resdet.data.loading.loader import test_loader as loader
from resdet.data.loading.views import DetectionView
from resdet.data.transforms.detection import DetectionTestTransform


def halves(image: Image.Image) -> list[Tensor]:
    """The decoded image at half its size, and as it is."""
    return [pil_to_tensor(image.reduce(2)), pil_to_tensor(image)]


@pytest.fixture
def dataset(tiny_coco: Any) -> DetectionDataset:
    return read_coco(tiny_coco.images, tiny_coco.annotations)


@pytest.mark.parametrize("workers", [0, 1])
def test_every_image_comes_with_its_pyramid(dataset: DetectionDataset, workers: int) -> None:
    view = DetectionView(dataset, DetectionTestTransform(24, 100), pyramid=halves)
    batches = list(loader(view, workers))
    assert len(batches) == 6
    for index, batch in enumerate(batches):
        small, whole = batch.pyramid[0]
        assert torch.equal(whole, pil_to_tensor(dataset.load(index)[0]))  # of the original, not of the resized image
        assert small.shape[1:] == tuple(side // 2 for side in whole.shape[1:])
        assert min(batch.images[0].shape[1:]) == 24


def test_pieces_of_a_batch_keep_their_pyramids(dataset: DetectionDataset) -> None:
    batch = DetectionView(dataset, DetectionTestTransform(24, 100), pyramid=halves).batch([(index, 0) for index in range(3)])
    pieces = batch.split(2)
    assert [len(piece.pyramid) for piece in pieces] == [1, 2]
    assert pieces[1].pyramid[1][0] is batch.pyramid[2][0]


def test_without_one_there_is_none(dataset: DetectionDataset) -> None:
    batch = DetectionView(dataset, DetectionTestTransform(24, 100)).batch([(0, 0)])
    assert batch.pyramid is None
    assert batch.split(1)[0].pyramid is None
