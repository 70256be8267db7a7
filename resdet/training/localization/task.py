"""Trains a localizer: the per-class RPN, and the region classifier on its proposals (paper, appendix C)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from resdet.config import config_to_yaml
from resdet.config.schema import LocalizationRunConfig
from resdet.data.loading.batches import LocalizationBatch, RegionBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.region_crops import NEGATIVE, RegionView, region_batches
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import LocalizationView
from resdet.data.marks import Images
from resdet.data.sources.localization import build_localization_transform
from resdet.distributed.ranks import ALONE, Ranks
from resdet.distributed.share import share_of
from resdet.engine.run_folder import open_run
from resdet.engine.seed import seed_everything
from resdet.engine.task import BatchT, Results, Task
from resdet.errors import ConfigError
from resdet.files import sha256_of
from resdet.inference.load_localizer import make_localizer
from resdet.models.build import start_localizer
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.training.card import model_card
from resdet.training.kernels import recorded_kernels
from resdet.training.localization.evaluation import LocalizationEvaluation
from resdet.training.localization.images import BoxedImages, read_boxed_images
from resdet.training.localization.proposals import match_regions, training_proposals

LocalizerT = TypeVar("LocalizerT", bound=PerClassRPN | RegionLocalizer)
_log = logging.getLogger(__name__)


class LocalizationTask(Task[LocalizerT, BatchT]):
    """The common part of the two stages of a localizer: evaluation with given classes, and the model file.

    Args:
        config: the config of the run.
        images: the training set.
        model: the network on its device, with the weights that training begins with.
        evaluation: the evaluation; None: there is none.
        ranks: the processes that train together.
    """

    def __init__(
        self,
        config: LocalizationRunConfig,
        images: BoxedImages,
        model: LocalizerT,
        evaluation: LocalizationEvaluation | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.share = share_of(config.run.batch, config.run.accumulate, ranks)
        self.config = config
        self.images = images
        self.model = model
        self.evaluation = evaluation
        self.samples = len(images.boxed)
        self.evaluates = evaluation is not None
        self.data = {"names": list(model.names), "images": self.samples}
        self.card = model.card = model_card(config, model, {"crop": config.data.crop}, config.data.train.root)
        self.pin = next(model.parameters()).is_cuda

    def evaluate(self, model: LocalizerT) -> dict[str, Any]:
        """The localization error with given classes."""
        if self.evaluation is None:
            return {}
        return self.evaluation.run(make_localizer([model], self.config.model.test, self.config.data.crop))

    def sets(self) -> Mapping[str, Any]:
        """The images for training, and those for validation."""
        train = {"train": self.images.dataset}
        return train if self.evaluation is None else {**train, "val": self.evaluation.dataset}

    def images_in_use(self) -> Images:
        """The images that are trained on."""
        return self.images.dataset

    def score(self, metrics: dict[str, Any]) -> float:
        """1 minus the localization error of the true class; NaN when there is none."""
        error = metrics["gt_class_loc_error"]
        return math.nan if error is None else 1 - float(error)

    def write_evaluation(self, model: LocalizerT, folder: Path) -> None:  # noqa: ARG002
        """Write what the last evaluation found, with pictures."""
        if self.evaluation:
            self.evaluation.write(folder)

    def finish(self, model: LocalizerT, folder: Path) -> Results:
        """Write what the last evaluation found, with pictures."""
        if self.evaluation is None:
            return Results()
        if not self.evaluation.metrics:  # a resumed run that had already ended
            self.evaluate(model)
        return self.evaluation.write(folder)


class PerClassRPNTask(LocalizationTask[PerClassRPN, LocalizationBatch]):
    """Training of a per-class RPN on random crops."""

    def batches(self, start: int) -> Iterator[LocalizationBatch]:
        """Random squares with the boxes seen in them."""
        data, run = self.config.data, self.config.run
        view = LocalizationView(self.images.dataset, build_localization_transform(data), run.seed)
        keys = endless_batches(self.images.boxed, run.batch, run.seed, start=start)
        return train_loader(view, keys, data.workers, pin=self.pin, share=self.share)

    def step(self, network: PerClassRPN, batch: LocalizationBatch) -> Mapping[str, Tensor]:
        """The losses of classes and boxes."""
        return network.losses(batch.images, batch.labels, batch.boxes, batch.share)


class RegionTask(LocalizationTask[RegionLocalizer, RegionBatch]):
    """Training of the region classifier on its RPN's proposals for the class of each training image.

    The regions of a batch come from all images (RoI-centric), and an epoch is counted in regions.

    Args:
        config, images, model, evaluation, ranks: see ``LocalizationTask``.
        view: the regions of all images.
        rpn: the SHA-256 of the RPN's model file.
    """

    def __init__(
        self,
        config: LocalizationRunConfig,
        images: BoxedImages,
        model: RegionLocalizer,
        evaluation: LocalizationEvaluation | None = None,
        ranks: Ranks = ALONE,
        *,
        view: RegionView,
        rpn: str,
    ) -> None:
        super().__init__(config, images, model, evaluation, ranks)
        self.view = view
        self.samples = len(view)
        self.data = {"names": list(model.names), "images": len(view), "rpn": rpn}

    def batches(self, start: int) -> Iterator[RegionBatch]:
        """Regions cut out of images, positives first."""
        run, fraction = self.config.run, self.config.model.rcnn.positive_fraction
        keys = region_batches(self.view.matches, run.batch, fraction, run.seed, start)
        return train_loader(self.view, keys, self.config.data.workers, pin=self.pin, share=self.share)

    def step(self, network: RegionLocalizer, batch: RegionBatch) -> Mapping[str, Tensor]:
        """The losses of classes and boxes."""
        return network.regions.losses(batch.images, batch.labels, batch.positive, batch.references, batch.boxes)


def localization_task(
    config: LocalizationRunConfig, device: torch.device, *, resume: bool = False, ranks: Ranks = ALONE
) -> PerClassRPNTask | RegionTask:
    """The training task of the stage in a config; for the second stage, the run folder keeps the proposals of the first.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit; when no proposal overlaps a box
            enough to be positive.
    """
    images = read_boxed_images(config.data)
    evaluation = LocalizationEvaluation(config.data, images.dataset.names, ranks) if config.data.val.root else None
    seed_everything(config.run.seed)
    model = start_localizer(config.model, images.dataset.names).to(device)
    if isinstance(model, RegionLocalizer):
        view, rpn = _regions(config, images, model, resume=resume, ranks=ranks)
        return RegionTask(config, images, model, evaluation, ranks, view=view, rpn=rpn)
    return PerClassRPNTask(config, images, model, evaluation, ranks)


def _regions(
    config: LocalizationRunConfig, images: BoxedImages, model: RegionLocalizer, *, resume: bool, ranks: Ranks
) -> tuple[RegionView, str]:
    """The regions of all images, and the SHA-256 of the RPN that proposed them."""
    data, run, region = config.data, config.run, config.model.rcnn
    # we open the folder before training, so that extraction cannot touch another run's proposals; this also writes the config
    kernels = recorded_kernels(config.output) if run.kernels == "auto" else run.kernels
    text = config_to_yaml(replace(config, run=replace(run, kernels=kernels)))
    with ranks.entered(open_run(config.output, text, resume)) as entered:
        rpn = sha256_of(config.model.weights)
        regions = training_proposals(config, model.rpn, images, rpn, entered.folder / "proposals", ranks)
    matches = match_regions(images.dataset, regions, region.fg_iou_thresh)
    positives = int((matches != NEGATIVE).sum())
    _log.info("%d proposals on %d images, %d positive", len(matches), len(regions), positives)
    if not positives:
        raise ConfigError(
            f"{config.model.weights}: none of its {len(matches)} proposals overlaps a box of its image's class by "
            f"'model.rcnn.fg_iou_thresh' {region.fg_iou_thresh}"
        )
    return RegionView(images.dataset, regions, matches, region.side, data.hflip, data.lighting, run.seed), rpn
