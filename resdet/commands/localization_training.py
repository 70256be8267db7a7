"""The two stages of a localizer's training: per-class RPN, and the region classifier on its proposals (paper, appendix C)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from resdet.commands.training import model_card, train_model
from resdet.commands.training_kernels import recorded_kernels
from resdet.config import config_to_yaml
from resdet.config.schema import LocalizationDataConfig, LocalizationRunConfig
from resdet.data.loading.batches import LocalizationBatch, RegionBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.region_crops import NEGATIVE, RegionView, region_batches
from resdet.data.loading.samplers import Key, endless_batches
from resdet.data.loading.views import LocalizationView
from resdet.data.localization import LocalizedImages, boxed_indices
from resdet.data.localization_sources import build_localization_dataset, build_localization_transform
from resdet.data.proposals import Proposals, make_proposals
from resdet.engine.proposal_cache import cached_shards, fingerprint
from resdet.engine.run_folder import open_run
from resdet.errors import ConfigError, DataError
from resdet.files import sha256_of
from resdet.inference.load_localizer import make_localizer
from resdet.inference.localizer_views import ImagePart, LocalizerViews
from resdet.models.detection.matcher import match
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import write_model

if TYPE_CHECKING:
    from resdet.engine.run_folder import RunFolder

Localizing = PerClassRPN | RegionLocalizer
Evaluate = Callable[[Localizing], dict[str, Any]]
Score = Callable[[dict[str, Any]], float]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingImages:
    """The training set, and the indices of its images with a box: the others are for classifiers alone."""

    dataset: LocalizedImages
    boxed: list[int]


def read_training_images(data: LocalizationDataConfig) -> TrainingImages:
    """The training set of a config; a DataError when no image has a box, or with every problem of the set."""
    dataset = build_localization_dataset(data.train)
    boxed = boxed_indices(dataset)
    if not boxed:
        raise DataError(f"{dataset.source}: no image has a box to train on")
    return TrainingImages(dataset, boxed)


def train_rpn(
    config: LocalizationRunConfig,
    model: PerClassRPN,
    images: TrainingImages,
    *,
    evaluate: Evaluate | None,
    score: Score,
    device: torch.device,
    resume: bool,
) -> tuple[RunFolder, PerClassRPN]:
    """Train a per-class RPN on random crops; arguments and errors are those of ``train_model``."""
    data, batch, seed = config.data, config.run.batch, config.run.seed
    view = LocalizationView(images.dataset, build_localization_transform(data), seed)
    pin = device.type == "cuda"

    def step(network: PerClassRPN, part: LocalizationBatch) -> dict[str, torch.Tensor]:
        return network.losses(part.images, part.labels, part.boxes)

    return train_model(
        config,
        model,
        step,
        lambda start: train_loader(view, endless_batches(images.boxed, batch, seed, start=start), data.workers, pin=pin),
        evaluate=evaluate,
        score=score,
        images=len(images.boxed),
        save_model=_saver(config, model),
        device=device,
        resume=resume,
    )


def train_region_net(
    config: LocalizationRunConfig,
    model: RegionLocalizer,
    images: TrainingImages,
    *,
    evaluate: Evaluate | None,
    score: Score,
    device: torch.device,
    resume: bool,
) -> tuple[RunFolder, RegionLocalizer]:
    """Train the region classifier on its RPN's proposals for the class of each training image, which the run folder keeps.

    A batch holds regions of as many images (RoI-centric); ``images`` of a schedule in epochs are these regions. Other arguments
    and errors are those of ``train_model``.

    Raises:
        ConfigError: also when no proposal overlaps a box enough to be positive.
    """
    data, run, region = config.data, config.run, config.model.rcnn
    # entered before there is anything to train: extraction must not touch another run's proposals; entering writes the config
    kernels = recorded_kernels(config.output) if run.kernels == "auto" else run.kernels
    with open_run(config.output, config_to_yaml(replace(config, run=replace(run, kernels=kernels))), resume) as entered:
        rpn = sha256_of(config.model.weights)
        regions = training_proposals(config, model.rpn, images, rpn, entered.folder / "proposals")
    matches = match_regions(images.dataset, regions, region.fg_iou_thresh)
    positives = int((matches != NEGATIVE).sum())
    _log.info("%d proposals on %d images, %d positive", len(matches), len(regions), positives)
    if not positives:
        raise ConfigError(
            f"{config.model.weights}: none of its {len(matches)} proposals overlaps a box of its image's class by "
            f"'model.rcnn.fg_iou_thresh' {region.fg_iou_thresh}"
        )
    view = RegionView(images.dataset, regions, matches, region.side, data.hflip, data.lighting, run.seed)

    def step(network: RegionLocalizer, part: RegionBatch) -> dict[str, torch.Tensor]:
        return network.regions.losses(part.images, part.labels, part.positive, part.references, part.boxes)

    def batches(start: int) -> Any:
        keys = region_batches(matches, run.batch, region.positive_fraction, run.seed, start)
        return train_loader(view, keys, data.workers, pin=device.type == "cuda")

    return train_model(
        config,
        model,
        step,
        batches,
        evaluate=evaluate,
        score=score,
        images=len(view),
        save_model=_saver(config, model),
        device=device,
        resume=resume,
        origin={"rpn": rpn},
    )


def training_proposals(
    config: LocalizationRunConfig, rpn: PerClassRPN, images: TrainingImages, rpn_hash: str, folder: Path
) -> Proposals:
    """An RPN's best boxes for the class of each image that has a box, in pixels of the images; ``folder`` keeps them.

    Args:
        config: says how many, and what the RPN sees of an image: ``model.test``.
        rpn: on its device.
        images: the images; their indices in the data set are the ids of the proposals.
        rpn_hash: a word for the RPN's weights.
        folder: made when missing.
    """
    test = replace(config.model.test, proposals=config.model.rcnn.proposals)
    localizer = make_localizer([rpn], test, config.data.crop)
    view = _ViewedImages(images.dataset, localizer.views)
    provenance = {
        "rpn": rpn_hash,
        "views": [test.views, test.short_sides, config.data.crop],
        "filter": [test.proposals, test.nms_thresh],
        "data": fingerprint(images.dataset.files, images.dataset.labels),
    }

    def extract(positions: Sequence[int]) -> Proposals:
        indices = [images.boxed[position] for position in positions]
        loaded = train_loader(view, [[(index, 0)] for index in indices], config.data.workers)
        found = [localizer.propose(views, [images.dataset.label(i)])[0] for i, views in zip(indices, loaded, strict=True)]
        return make_proposals(indices, [boxes for boxes, _ in found], [scores for _, scores in found])

    return cached_shards(folder, images.boxed, extract, provenance)


def match_regions(dataset: LocalizedImages, regions: Proposals, fg_iou_thresh: float) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Of each region, int32 (R,), the box of its image that it overlaps most, at least by the threshold, or ``NEGATIVE``."""
    matches = [
        match(
            regions.boxes(place),
            dataset.boxes(index),
            fg_iou_thresh=fg_iou_thresh,
            bg_iou_thresh=fg_iou_thresh,
            keep_best=False,
        )
        for place, index in enumerate(regions.image_ids.tolist())
    ]
    return torch.cat(matches).numpy().astype(np.int32)


@dataclass(frozen=True)
class _ViewedImages:
    """Images as a localizer sees them: what a loader loads."""

    dataset: LocalizedImages
    views: LocalizerViews

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: Sequence[Key]) -> list[ImagePart]:
        """The views of the one image that is asked for."""
        ((index, _),) = keys
        return self.views(self.dataset.load(index))


def _saver(config: LocalizationRunConfig, model: Localizing) -> Callable[[Localizing, Path], None]:
    card = model_card(config, model, {"crop": config.data.crop}, config.data.train.root)

    def save(network: Localizing, path: Path) -> None:
        write_model(path, network.state_dict(), card)

    return save
