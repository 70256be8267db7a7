"""The images that a detector is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from resdet.config.schema import DetectionDataConfig
from resdet.data.dataset import DetectionDataset, aspect_groups, classes_of_images, concatenate, subset, usable_indices
from resdet.data.loading.batches import DetectionBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches, repeat_factors
from resdet.data.loading.views import DetectionView
from resdet.data.proposals import Proposals
from resdet.data.sources.detection import build_detection_transform, read_sources, source_proposals
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.distributed.share import Share
from resdet.errors import DataError


@dataclass(frozen=True)
class TrainingImages:
    """The images that a detector is trained on.

    Attributes:
        dataset: the data set of the images that are used.
        transform: the training transform.
        groups: the number of each image's group; a batch holds images of one group.
        repeats: the number of times that each image comes in an epoch; None: once.
        proposals: the proposals of each image, from the files that the config names; None: it names none.
        workers: the number of processes that read images.
        fast: whether images are decoded only as far as the transform needs them.
    """

    dataset: DetectionDataset
    transform: DetectionTrainTransform
    groups: list[int]
    repeats: list[float] | None
    proposals: Proposals | None
    workers: int
    fast: bool

    def __len__(self) -> int:
        return len(self.dataset)

    def batches(
        self, batch: int, seed: int, start: int, proposals: Proposals | None, *, pin: bool = False, share: Share | None = None
    ) -> Iterator[DetectionBatch]:
        """Endless batches from number ``start`` on, with ``proposals`` when given; ``pin`` puts them into memory for a GPU.

        ``share`` is the share of each batch that this process loads; None: the whole.
        """
        view = DetectionView(self.dataset, self.transform, seed, proposals=proposals, fast=self.fast)
        keys = endless_batches(len(self), batch, seed, self.groups, start, self.repeats)
        return train_loader(view, keys, self.workers, pin=pin, share=share)


def read_training_images(data: DetectionDataConfig, own: DetectionDataset | None = None) -> TrainingImages:
    """The training images of a data section; ``own`` replaces its files.

    Raises:
        ConfigError: when a folder or file is missing, or a transform does not exist.
        DataError: with every problem of every source, or when no image is left to train on.
    """
    transform = build_detection_transform(data)
    sources = read_sources(data.train, data.names or None) if own is None else [own]
    proposals = source_proposals(data.train, sources) if own is None else None
    dataset = concatenate(sources)
    indices = usable_indices(dataset) if data.skip_empty else list(range(len(dataset)))
    if not indices:
        raise DataError(f"{dataset.source}: no image with a usable object to train on")
    dataset = subset(dataset, indices)
    return TrainingImages(
        dataset,
        transform,
        aspect_groups(dataset, range(len(dataset))),
        repeat_factors(classes_of_images(dataset), data.repeat_thresh) if data.repeat_thresh else None,
        proposals.take(indices) if proposals else None,
        data.workers,
        data.decode == "fast",
    )
