"""Trains a detector, whole or in parts (paper, appendix A)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resdet.config.schema import DetectionRunConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.inspection.anchors import Scale, recall, resized_boxes
from resdet.data.loading.batches import DetectionBatch
from resdet.data.marks import Images
from resdet.data.proposals import Proposals
from resdet.distributed.ranks import ALONE, Ranks
from resdet.distributed.share import share_of
from resdet.engine.seed import seed_everything
from resdet.engine.task import Results, Shown, Task
from resdet.inference.mode import evaluating
from resdet.models.build import start_detector
from resdet.models.detection.faster_rcnn import PARTS, FasterRCNN
from resdet.training.card import model_card
from resdet.training.detection.evaluation import DetectorEvaluation
from resdet.training.detection.images import TrainingImages, read_training_images
from resdet.training.detection.validation_loss import validation_loss


class DetectionTask(Task[FasterRCNN, DetectionBatch]):
    """Training of a detector, or of some of its parts.

    Args:
        config: the config of the run.
        images: the training images.
        model: the network on its device, with the weights that training begins with.
        evaluation: the evaluation; None: there is none.
        proposals: the proposals of the images for the region classifier; None: those of the RPN.
        parts: the parts that train, see ``FasterRCNN.losses``.
        origin: everything else that the run depends on besides its config and images; it must be the same for a resumed run.
        ranks: the processes that train together.
    """

    def __init__(
        self,
        config: DetectionRunConfig,
        images: TrainingImages,
        model: FasterRCNN,
        evaluation: DetectorEvaluation | None = None,
        *,
        proposals: Proposals | None = None,
        parts: Collection[str] = PARTS,
        origin: Mapping[str, str] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.config = config
        self.images = images
        self.model = model
        self.evaluation = evaluation
        self.proposals = proposals
        self.parts = parts
        self.samples = len(images)
        self.evaluates = evaluation is not None
        self.data = {"names": list(model.names), "images": len(images), **(origin or {})}
        test = {"short_side": config.data.test_short_side, "max_side": config.data.max_side}
        self.card = model.card = model_card(config, model, test, images.dataset.source)

    def batches(self, start: int) -> Iterator[DetectionBatch]:
        """Images with their objects, and with their proposals if there are any."""
        run, pin = self.config.run, self.model.device.type == "cuda"
        share = share_of(run.batch, run.accumulate, self.ranks)
        return self.images.batches(run.batch, run.seed, start, self.proposals, pin=pin, share=share)

    def step(self, network: FasterRCNN, batch: DetectionBatch) -> Mapping[str, Tensor]:
        """The losses of the RPN and of the region classifier."""
        return network.losses(batch.images, batch.targets, batch.proposals, self.parts, batch.share)

    def evaluate(self, model: FasterRCNN) -> dict[str, Any]:
        """COCO's metrics, and VOC's and the losses when the config asks for them."""
        if self.evaluation is None:
            return {}
        metrics = self.evaluation.run(model)
        if self.config.run.val_loss:
            seed, workers = self.config.run.seed, self.config.data.workers
            metrics["val_loss"] = validation_loss(model, self.evaluation.view, workers, seed, self.ranks)
        return metrics

    def facts(self) -> Mapping[str, str]:
        """Images, classes, objects, and how many of these have an anchor that overlaps them well."""
        scale = Scale.of(self.config.data, self.config.model)
        boxes = resized_boxes(self.images.dataset, scale)
        shares = [f"{recall(boxes, scale.sizes, scale.ratios, iou):.0%} have one of IoU {iou:g} or more" for iou in (0.5, 0.7)]
        anchors = f"{len(scale.sizes) * len(scale.ratios)} a position; of the objects {', '.join(shares)}"
        return {**super().facts(), "objects": f"{len(boxes):,}", "anchors": anchors}

    def sets(self) -> Mapping[str, Any]:
        """The images for training, and those for validation."""
        train = {"train": self.images.dataset}
        return train if self.evaluation is None else {**train, "val": self.evaluation.view.dataset}

    def images_in_use(self) -> Images:
        """The images that are trained on."""
        return self.images.dataset

    def score(self, metrics: dict[str, Any]) -> float:
        """VOC's mAP when it is measured, else COCO's AP; NaN when there is none."""
        value = metrics["voc"]["mAP"] if "voc" in metrics else metrics["bbox"]["AP"]
        return math.nan if value is None else float(value)

    def shown(self) -> Shown:
        """Pictures with objects and detections, precision and recall of each class, and scores."""
        return self.evaluation.to_show() if self.evaluation else Shown()

    def write_evaluation(self, model: FasterRCNN, folder: Path) -> None:
        """Write what the last evaluation found, with pictures."""
        if self.evaluation:
            self.evaluation.write(model, folder)

    def finish(self, model: FasterRCNN, folder: Path) -> Results:
        """Write what the last evaluation found, with pictures."""
        if self.evaluation is None:
            return Results()
        if not self.evaluation.metrics:  # a resumed run that had already ended
            with evaluating(model):
                self.evaluate(model)
        return self.evaluation.write(model, folder)


def detection_task(
    config: DetectionRunConfig,
    device: torch.device,
    *,
    train: DetectionDataset | None = None,
    val: DetectionDataset | None = None,
    ranks: Ranks = ALONE,
) -> DetectionTask:
    """The task of training RPN and region classifier jointly with a config; ``train`` and ``val`` replace its files.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit.
    """
    images = read_training_images(config.data, train)
    evaluation = evaluation_of(config, images, val, ranks)
    seed_everything(config.run.seed)
    model = start_detector(config.model, images.dataset.names).to(device)
    return DetectionTask(config, images, model, evaluation, proposals=images.proposals, ranks=ranks)


def evaluation_of(
    config: DetectionRunConfig, images: TrainingImages, val: DetectionDataset | None = None, ranks: Ranks = ALONE
) -> DetectorEvaluation | None:
    """The evaluation of detectors that a config asks for, with the classes of its images; None when it asks for none."""
    if val is None and not config.data.val.root:
        return None
    return DetectorEvaluation(config.data, images.dataset.names, config.model.test, dataset=val, ranks=ranks)
