"""Training of a detector, whole or in parts (paper, appendix A)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resdet.config.schema import DetectionRunConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.loading.batches import DetectionBatch
from resdet.data.proposals import Proposals
from resdet.engine.seed import seed_everything
from resdet.engine.task import Results, Task
from resdet.models.build import start_detector
from resdet.models.detection.faster_rcnn import PARTS, FasterRCNN
from resdet.models.model_file import write_model
from resdet.training.card import model_card
from resdet.training.detection.evaluation import DetectorEvaluation
from resdet.training.detection.images import TrainingImages, read_training_images


class DetectionTask(Task[FasterRCNN, DetectionBatch]):
    """Training of a detector, or of some of its parts.

    Args:
        config: of the run.
        images: what it is trained on.
        model: on its device, with the weights that training begins with.
        evaluation: what it is evaluated on; None: nothing.
        proposals: of the images, for the region classifier in place of the RPN's; None: the RPN's.
        parts: those that train, see ``FasterRCNN.losses``.
        origin: what else the run comes from besides its config and images; a resumed run must come from the same.
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
    ) -> None:
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
        """Images with their objects, and with proposals where there are some."""
        run, pin = self.config.run, self.model.device.type == "cuda"
        return self.images.batches(run.batch, run.seed, start, self.proposals, pin=pin)

    def step(self, network: FasterRCNN, batch: DetectionBatch) -> Mapping[str, Tensor]:
        """The losses of the RPN and of the region classifier."""
        return network.losses(batch.images, batch.targets, batch.proposals, self.parts)

    def evaluate(self, model: FasterRCNN) -> dict[str, Any]:
        """COCO's numbers, and VOC's where the config asks for them."""
        return self.evaluation.run(model) if self.evaluation else {}

    def score(self, metrics: dict[str, Any]) -> float:
        """VOC's mAP where it is measured, else COCO's AP; NaN when there is none."""
        value = metrics["voc"]["mAP"] if "voc" in metrics else metrics["bbox"]["AP"]
        return math.nan if value is None else float(value)

    def save(self, model: FasterRCNN, path: Path) -> None:
        """Write a model file."""
        write_model(path, model.state_dict(), self.card)

    def finish(self, model: FasterRCNN, folder: Path) -> Results:
        """Write what the last evaluation found, with pictures."""
        return self.evaluation.write(model, folder) if self.evaluation else Results()


def detection_task(
    config: DetectionRunConfig,
    device: torch.device,
    *,
    train: DetectionDataset | None = None,
    val: DetectionDataset | None = None,
) -> DetectionTask:
    """Joint training of RPN and region classifier, as a config says; ``train`` and ``val`` take the place of its files.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit.
    """
    images = read_training_images(config.data, train)
    evaluation = evaluation_of(config, images, val)
    seed_everything(config.run.seed)
    model = start_detector(config.model, images.dataset.names).to(device)
    return DetectionTask(config, images, model, evaluation, proposals=images.proposals)


def evaluation_of(
    config: DetectionRunConfig, images: TrainingImages, val: DetectionDataset | None = None
) -> DetectorEvaluation | None:
    """The evaluation that a config asks for, of detectors of its images' classes; None where it asks for none."""
    if val is None and not config.data.val.root:
        return None
    return DetectorEvaluation(config.data, images.dataset.names, config.model.test, dataset=val)
