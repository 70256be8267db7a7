"""Trains a classifier, the network that pretrains detectors (paper, sections 3.4 and 4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resdet.config.schema import ClassificationRunConfig
from resdet.data.dataset import ClassificationDataset
from resdet.data.loading.batches import ClassificationBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.resident import ResidentImages
from resdet.data.loading.samplers import endless_batches, repeated
from resdet.data.marks import Images
from resdet.data.sources.classification import build_classification_dataset, build_mean_image, build_train_transform
from resdet.data.transforms.mixing import build_mixing
from resdet.distributed.ranks import ALONE, Ranks
from resdet.distributed.share import share_of
from resdet.engine.seed import seed_everything
from resdet.engine.task import Results, Task
from resdet.errors import ConfigError
from resdet.inference.dense import training_window
from resdet.models.backbones.bn_statistics import statistics_are_folded
from resdet.models.backbones.stochastic_depth import set_stochastic_depth
from resdet.models.build import start_classifier
from resdet.models.classifier import Classifier, classification_step
from resdet.training.card import model_card
from resdet.training.classification.evaluation import ClassifierEvaluation
from resdet.training.classification.statistics import recompute_statistics, training_view, unfold_statistics


class ClassificationTask(Task[Classifier, ClassificationBatch]):
    """Training of a classifier.

    Args:
        config: the config of the run.
        dataset: labelled images.
        model: the network on its device, with the weights that training begins with.
        evaluation: the evaluation; None: there is none.
        ranks: the processes that train together.

    Raises:
        ConfigError: from the constructor, when BN would get only a single value, or a single image.
    """

    def __init__(
        self,
        config: ClassificationRunConfig,
        dataset: ClassificationDataset,
        model: Classifier,
        evaluation: ClassifierEvaluation | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        _check_batches(config, model, len(dataset), 1 if config.run.sync_bn else ranks.world)
        data, rules = config.data, config.regularization
        set_stochastic_depth(model.backbone, rules.stochastic_depth)
        self.config = config
        self.dataset = dataset
        self.model = model
        self.evaluation = evaluation
        self.view = training_view(config, dataset)
        self.mix = build_mixing(rules.mixup, rules.cutmix, len(model.names))
        self.samples = len(dataset)
        self.evaluates = evaluation is not None
        self.data = {"names": list(model.names), "images": len(dataset)}
        self.card = model.card = model_card(
            config, model, {"short_side": data.test_short_side, "crop": data.crop_in_testing}, data.train.root
        )

    def batches(self, start: int) -> Iterator[ClassificationBatch]:
        """Squares of images with their labels."""
        run, pin = self.config.run, next(self.model.parameters()).is_cuda
        repeats = self.config.data.repeats
        keys = repeated(endless_batches(self.samples, run.batch // repeats, run.seed, start=start), repeats)
        share = share_of(run.batch, run.accumulate, self.ranks)
        if self.config.data.resident:
            transform, device = build_train_transform(self.config.data), next(self.model.parameters()).device
            return ResidentImages(self.view.dataset, transform, run.seed, device).batches(keys, share)
        return train_loader(self.view, keys, self.config.data.workers, pin=pin, share=share)

    def step(self, network: Classifier, batch: ClassificationBatch) -> Mapping[str, Tensor]:
        """Cross entropy, and the share of images whose class is not the best scored one."""
        smoothing = self.config.regularization.label_smoothing
        return classification_step(network, batch, label_smoothing=smoothing, mix=self.mix, share=batch.share)

    def evaluate(self, model: Classifier) -> dict[str, Any]:
        """Top-k errors and calibration, and as the loss, when the config asks for it, the cross entropy of the same views."""
        if self.evaluation is None:
            return {}
        metrics = self.evaluation.run(model)
        if self.config.run.val_loss:
            metrics["val_loss"] = {"loss": metrics["nll"]}
        return metrics

    def sets(self) -> Mapping[str, Any]:
        """The images for training, and those for validation."""
        train = {"train": self.view.dataset}
        return train if self.evaluation is None else {**train, "val": self.evaluation.dataset}

    def images_in_use(self) -> Images:
        """The images that are trained on."""
        return self.dataset

    def score(self, metrics: dict[str, Any]) -> float:
        """1 minus the top-1 error; NaN when there is none."""
        error = metrics["top1_error"]
        return math.nan if error is None else 1 - float(error)

    def write_evaluation(self, model: Classifier, folder: Path) -> None:
        """Write what the last evaluation found, with pictures."""
        if self.evaluation:
            self.evaluation.write(model, folder)

    def finish(self, model: Classifier, folder: Path) -> Results:
        """Recompute BN statistics where the config asks for it, in each process, and write what the last evaluation found."""
        if self.config.recompute_bn:
            recompute_statistics(model, self.view, self.config, self.config.recompute_bn)
            if self.ranks.first:
                self.save(model, folder / "model.safetensors")
            self.evaluate(model)
        return self.evaluation.write(model, folder) if self.evaluation else Results()


def classification_task(
    config: ClassificationRunConfig,
    device: torch.device,
    *,
    train: ClassificationDataset | None = None,
    val: ClassificationDataset | None = None,
    ranks: Ranks = ALONE,
) -> ClassificationTask:
    """The training task of a classifier config; ``train`` and ``val`` replace the config's files.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit.
    """
    dataset = train if train is not None else build_classification_dataset(config.data.train)
    evaluation = None
    if val is not None or config.data.val.root:
        evaluation = ClassifierEvaluation(config.data, config.test, dataset.names, val, ranks)
    seed_everything(config.run.seed)
    model = start_classifier(config.model, dataset.names, build_mean_image(config.data, dataset)).to(device)
    task = ClassificationTask(config, dataset, model, evaluation, ranks)
    if config.model.backbone.weights and statistics_are_folded(model):
        unfold_statistics(model, task.view, config)
    return task


def _check_batches(config: ClassificationRunConfig, model: Classifier, dataset: int, processes: int) -> None:
    """Raise a ConfigError when BN would get only a single value or image, before hours go into training."""
    if config.recompute_bn and min(config.recompute_bn, dataset) < 2:
        raise ConfigError(f"option 'recompute_bn' must be at least 2 images, got {config.recompute_bn} of {dataset}")
    images = config.run.batch // config.run.accumulate // processes
    if config.model.backbone.norm == "batch" and images == 1 and training_window(model.backbone.spec, config.data.crop) == 1:
        where = f" in each of {processes} processes" if processes > 1 else ""
        raise ConfigError(
            f"options 'run.batch' {config.run.batch} and 'run.accumulate' {config.run.accumulate} leave {images} image at a "
            f"time{where}, and 'data.crop' {config.data.crop} one position of the last map: BN needs at least two values"
        )
