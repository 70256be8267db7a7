"""A labelled data set whose images lie on the device, where the random crops are cut too: for small images of one size.

A GPU that trains a small network on images of 32 pixels waits for the processor, however many workers cut the crops. CIFAR-10
takes 184 MB with its padding, so there it stays on the device, and a batch is one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from resdet.data.dataset import ClassificationDataset
from resdet.data.loading.batches import ClassificationBatch
from resdet.data.loading.samplers import Key
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.distributed.share import Share
from resdet.errors import DataError
from resdet.structures.moving import moved

_AT_ONCE = 100  # batches
_BITS = 31  # of a hash, that a draw is made of: it stays positive in int64


class ResidentImages:
    """Images of one size on a device, shown as ``ClassificationTrainTransform`` shows them, but for the source of its draws.

    Where a crop lies, and whether it is mirrored, depends on the seed and the number of the draw alone, through a hash. So the
    crops are others than those of a loader with the same seed.

    Args:
        dataset: labelled images; each is read once, here.
        transform: of one size: without ``short_side``, colour noise, further transforms and ``crop_from`` "area".
        seed: the seed of the draws.
        device: where the images lie.

    Raises:
        ValueError: when the transform resizes, or changes colours.
        DataError: when an image cannot be read, is of another size than the first, or is smaller than the crop.
    """

    def __init__(
        self, dataset: ClassificationDataset, transform: ClassificationTrainTransform, seed: int, device: torch.device
    ) -> None:
        if transform.short_side or transform.lighting or transform.transforms or transform.crop_from != "short_side":
            raise ValueError(f"images on the device are neither resized nor coloured, got {transform}")
        self._transform, self._seed, self._device = transform, seed, device
        self._paths = [str(dataset.path(index)) for index in range(len(dataset))]
        self._images = _padded(dataset, transform).to(device)
        self._channels = torch.arange(3, device=device)[:, None, None]
        self._labels = torch.tensor([dataset.label(index) for index in range(len(dataset))], device=device)

    def __len__(self) -> int:
        return len(self._labels)

    def batches(self, keys: Iterable[Sequence[Key]], share: Share | None = None) -> Iterator[ClassificationBatch]:
        """A batch on the device for each list of ``(index, draw)``, or the share of it."""
        several = iter(keys)
        # the draws of many batches are made at once: on a GPU a batch alone would take longer than a small network's step
        while some := [list(each if share is None else share.take(each)) for each in islice(several, _AT_ONCE)]:
            places = self._places([key for each in some for key in each])
            for own, mine in zip(some, places.split([len(each) for each in some], dim=1), strict=True):
                yield replace(self._cut(own, mine), share=share)

    def batch(self, keys: Sequence[Key]) -> ClassificationBatch:
        """The samples ``(index, draw)`` as one batch on the device."""
        return self._cut(keys, self._places(keys))

    def _places(self, keys: Sequence[Key]) -> Tensor:
        """Of N samples, int64 (4, N): the image, the crop's first row and column, and the step between columns, 1 or -1."""
        index, draw = torch.tensor(keys, dtype=torch.int64).unbind(1)
        crop, (height, width) = self._transform.crop, self._images.shape[-2:]
        top, left, side = (_hashed(self._seed, draw, number) for number in range(3))
        mirrored = side < int(self._transform.hflip * (1 << _BITS))
        column = left.remainder(width - crop + 1) + torch.where(mirrored, crop - 1, 0)
        places = torch.stack([index, top.remainder(height - crop + 1), column, 1 - 2 * mirrored.long()])
        return moved(places, self._device)

    def _cut(self, keys: Sequence[Key], places: Tensor) -> ClassificationBatch:
        """The crops at some places, see ``_places``."""
        index, top, left, step = places[:, :, None]
        along = torch.arange(self._transform.crop, device=self._device)
        rows, columns = (top + along)[:, None, :, None], (left + step * along)[:, None, None, :]
        images = self._images[index[:, :, None, None], self._channels, rows, columns]
        return ClassificationBatch(images, self._labels[index[:, 0]], tuple([self._paths[number] for number, _ in keys]))


def _padded(dataset: ClassificationDataset, transform: ClassificationTrainTransform) -> Tensor:
    """All images, uint8 (N, 3, H, W) with the zeros of ``transform.pad`` around each."""
    first = dataset.load(0)
    height, width = first.height + 2 * transform.pad, first.width + 2 * transform.pad
    if min(height, width) < transform.crop:
        raise DataError(f"{dataset.path(0)}: {width} x {height} pixels with padding are less than the crop of {transform.crop}")
    images = np.zeros((len(dataset), 3, height, width), np.uint8)
    inner = images[:, :, transform.pad : height - transform.pad, transform.pad : width - transform.pad]
    problems = []
    for index in range(len(dataset)):
        image = dataset.load(index)
        if image.size == first.size:
            inner[index] = np.asarray(image).transpose(2, 0, 1)
        else:
            problems.append(
                f"{dataset.path(index)}: {image.width} x {image.height} pixels, images on the device are all of the size "
                f"of the first, {first.width} x {first.height}; data.resident=false reads images of any size"
            )
    if problems:
        raise DataError(problems)
    return torch.from_numpy(images)


def _hashed(seed: int, draw: Tensor, number: int) -> Tensor:
    """A number in [0, 2**31) for each of ``draw``, int64: SplitMix64 (Steele, Lea and Flood, 2014) of seed, draw and number."""
    state = _mixed(torch.full_like(draw, _signed(seed)))
    return _mixed(_mixed(state ^ draw) + number) & ((1 << _BITS) - 1)


def _mixed(value: Tensor) -> Tensor:
    """A step of SplitMix64 on int64, which wraps around as its 64-bit words do."""
    value = value + _signed(0x9E3779B97F4A7C15)
    value = (value ^ _shifted(value, 30)) * _signed(0xBF58476D1CE4E5B9)
    value = (value ^ _shifted(value, 27)) * _signed(0x94D049BB133111EB)
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """``value`` shifted to the right, zeros coming in: torch shifts the sign in."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(word: int) -> int:
    """A 64-bit word as the int64 of the same bits."""
    word %= 1 << 64
    return word - (1 << 64) if word >= 1 << 63 else word
