"""Regions cut out of images and warped to a square, as R-CNN sees them (paper, appendix C).

Legend: M images, R regions, S the side of the square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from resdet.data.loading.batches import RegionBatch
from resdet.data.loading.randomness import preserved_generators, seed_generators
from resdet.data.loading.samplers import Key
from resdet.data.localization import LocalizedImages
from resdet.data.proposals import Proposals
from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, lighting_noise
from resdet.ops.boxes import mirror_boxes

NEGATIVE = -1  # the match of a region that shows no object of its image's class


def warp_region(image: Image.Image, box: tuple[float, float, float, float], side: int) -> Tensor:
    """A box of an image as a square, uint8 (3, side, side), by PIL's bilinear filter.

    Args:
        image: RGB.
        box: ``xyxy``, pixels of the image, inside it and not empty.
        side: pixels.
    """
    pixels: Tensor = F.pil_to_tensor(image.resize((side, side), Image.Resampling.BILINEAR, box))
    return pixels


@dataclass(frozen=True)
class RegionView:
    """The regions of labelled images, as training sees them: flipped or not, with PCA lighting.

    Attributes:
        dataset: the images.
        regions: the regions of some of the images, R in all; their image ids are indices in the data set.
        matches: int32 (R,), for each region the index of its box among those of its image, or ``NEGATIVE``.
        side: S, pixels.
        hflip: probability of a horizontal flip.
        lighting: standard deviation of the PCA colour noise; 0: none.
        seed: the seed of the random numbers.
    """

    dataset: LocalizedImages
    regions: Proposals
    matches: NDArray[np.int32]
    side: int
    hflip: float = 0.5
    lighting: float = 0.1
    seed: int = 0

    def __len__(self) -> int:
        return len(self.matches)

    def batch(self, keys: Sequence[Key]) -> RegionBatch:
        """Load the samples ``(region, draw)``; a DataError names the image."""
        owners = np.searchsorted(self.regions.offsets, [region for region, _ in keys], side="right") - 1
        indices = self.regions.image_ids[owners].tolist()
        with preserved_generators():
            samples = [self._sample(index, *key) for index, key in zip(indices, keys, strict=True)]
        images, references, boxes = (torch.stack(values) for values in zip(*samples, strict=True))
        labels = torch.tensor([self.dataset.label(index) for index in indices], dtype=torch.int64)
        positive = torch.from_numpy(self.matches[[region for region, _ in keys]] != NEGATIVE)
        return RegionBatch(images, labels, positive, references, boxes, tuple(str(self.dataset.path(i)) for i in indices))

    def _sample(self, index: int, region: int, draw: int) -> tuple[Tensor, Tensor, Tensor]:
        image = self.dataset.load(index)
        seed_generators(self.seed, draw)
        reference = torch.from_numpy(self.regions.rows[region].copy())
        match = self.matches[region]
        box = reference if match == NEGATIVE else self.dataset.boxes(index)[match]
        pixels = warp_region(image, tuple(reference.tolist()), self.side)
        if torch.rand(()) < self.hflip:
            pixels = pixels.flip(-1)
            reference, box = (mirror_boxes(each, image.width) for each in (reference, box))
        return lighting_noise(pixels, self.lighting, IMAGENET_COMPONENTS) if self.lighting else pixels, reference, box


def region_batches(
    matches: NDArray[np.int32], batch: int, positive_fraction: float, seed: int, start: int
) -> Iterator[list[Key]]:
    """Batches without end of regions drawn from those of all images together (RoI-centric), positives first.

    Regions are drawn with replacement, because a permutation of millions of regions would take too much memory.

    Args:
        matches: int32 (R,), see ``RegionView``.
        batch: regions a batch.
        positive_fraction: share of positives, rounded; all are positive, or negative, where there are no others.
        seed: the seed of the draws; another seed gives other regions.
        start: batches to skip: the iterator continues exactly as one that has already given them.

    Yields:
        Lists of ``(region, draw)``; ``draw`` is unique in the run and seeds the augmentation.

    Raises:
        ValueError: without a region.
    """
    positive, negative = np.flatnonzero(matches != NEGATIVE), np.flatnonzero(matches == NEGATIVE)
    if not len(matches):
        raise ValueError("region_batches needs at least one region")
    share = round(batch * positive_fraction)
    share = batch if not len(negative) else 0 if not len(positive) else share
    for number in count(start):
        generator = np.random.default_rng((seed, number))
        chosen = [
            each[generator.integers(len(each), size=size)]
            for each, size in ((positive, share), (negative, batch - share))
            if size
        ]
        yield [(region, number * batch + place) for place, region in enumerate(np.concatenate(chosen).tolist())]
