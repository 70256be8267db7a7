"""BN statistics over training images: exact ones of a trained classifier (paper, appendix A), and missing ones of weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from resdet.config.schema import ClassificationRunConfig
from resdet.data.dataset import ClassificationDataset
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView
from resdet.data.sources.classification import build_classification_dataset, build_train_transform
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.task import Results
from resdet.models.backbones.bn_statistics import recompute_bn_statistics, unfold_bn_statistics
from resdet.models.build import load_model
from resdet.models.classifier import Classifier
from resdet.models.model_file import write_model
from resdet.training.classification.evaluation import ClassifierEvaluation

_log = logging.getLogger(__name__)
_UNFOLDED = 512  # images on which missing BN statistics are measured


def refresh_classifier(config: ClassificationRunConfig, device: torch.device, ranks: Ranks = ALONE) -> Results:
    """Recompute the BN statistics of a finished run's ``model.safetensors`` over its training images, in place.

    Args:
        config: the config of the run; ``recompute_bn`` is the number of images, 0: all.
        device: the device of the network.
        ranks: the processes that evaluate together; each of them recomputes the statistics, and the first one writes.

    Returns:
        The evaluation of the refreshed model.

    Raises:
        ConfigError, DataError: when the output folder has no model, or one of another network, or the data does not fit it.
    """
    path = Path(config.output) / "model.safetensors"
    loaded, card = load_model(path, config.model)
    model = cast(Classifier, loaded).to(device)  # load_model has checked that it is a classifier as in the config
    dataset = build_classification_dataset(config.data.train, model.names)
    evaluation = ClassifierEvaluation(config.data, config.test, model.names, ranks=ranks) if config.data.val.root else None
    view = training_view(config, dataset)
    recompute_statistics(model, view, config, config.recompute_bn or len(view))
    if ranks.first:
        write_model(path, model.state_dict(), card)
    return evaluation.write(model, path.parent) if evaluation else Results()


def recompute_statistics(model: Classifier, view: ClassificationView, config: ClassificationRunConfig, images: int) -> None:
    """Compute exact BN statistics over so many training images, augmented as in training, in parts of a batch."""
    recompute_bn_statistics(model, _some(view, config, images, next(model.parameters()).device))


def unfold_statistics(model: Classifier, view: ClassificationView, config: ClassificationRunConfig) -> None:
    """Give BN statistics to a network whose weights came without: of some training images, with the function as it was."""
    images = min(_UNFOLDED, len(view))
    unfold_bn_statistics(model, _some(view, config, images, next(model.parameters()).device))
    _log.info(
        "%s: has no BN statistics, which training needs: measured on %d training images", config.model.backbone.weights, images
    )


def _some(view: ClassificationView, config: ClassificationRunConfig, images: int, device: torch.device) -> Iterator[Tensor]:
    # another seed than in training, so that these are not the first training batches again
    chosen = next(endless_batches(len(view), min(images, len(view)), config.run.seed + 1))
    part = max(2, config.run.batch // config.run.accumulate)
    keys = [chosen[first : first + part] for first in range(0, len(chosen), part)]
    return (loaded.images.to(device) for loaded in train_loader(view, keys, config.data.workers))


def training_view(config: ClassificationRunConfig, dataset: ClassificationDataset) -> ClassificationView:
    """The images, augmented as in training."""
    fast = config.data.decode == "fast"
    return ClassificationView(dataset, build_train_transform(config.data), config.run.seed, fast=fast)
