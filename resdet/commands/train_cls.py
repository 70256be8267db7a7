"""Train a classifier, the network that pretrains detectors."""

from __future__ import annotations

import argparse
import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from resdet.commands.common import add_train_arguments, run_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resdet.config.schema import ClassificationRunConfig
    from resdet.data.loader import ClassificationView
    from resdet.models.classifier import Classifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-cls``."""
    add_train_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, recompute BN statistics, evaluate, and leave a run folder."""
    from resdet.config.schema import ClassificationRunConfig

    train_classifier(run_config(args, ClassificationRunConfig), device=args.device, resume=args.resume)
    return 0


def train_classifier(config: ClassificationRunConfig, *, device: str = "auto", resume: bool = False) -> dict[str, Any]:
    """Run the whole of a classification config into its output folder.

    Args:
        config: as ``load_config`` returns it.
        device: auto, cpu or cuda.
        resume: continue the run that the output folder holds.

    Returns:
        The metrics of the final model, as in ``metrics.json``; {} without a validation set.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    from resdet.commands.evaluation import ClassifierEvaluation
    from resdet.commands.training import draw_curves, model_card, train_model
    from resdet.data.catalog import build_classification_dataset
    from resdet.data.loader import ClassificationView, train_loader
    from resdet.data.samplers import endless_batches
    from resdet.data.transforms import ClassificationTrainTransform
    from resdet.engine.seed import seed_everything
    from resdet.inference.load import select_device
    from resdet.models.build import build_classifier
    from resdet.models.classifier import classification_step
    from resdet.models.model_file import write_model

    data, where, seed = config.data, select_device(device), config.run.seed
    dataset = build_classification_dataset(data.train)
    evaluation = ClassifierEvaluation(data, dataset.names) if data.val.root else None
    transform = ClassificationTrainTransform(data.crop, tuple(data.short_side), data.pad, data.hflip, data.lighting)
    view = ClassificationView(dataset, transform, seed)

    seed_everything(seed)
    model = build_classifier(config.model, dataset.names).to(where)
    card = model_card(config, model, {"short_side": data.test_short_side, "crop": data.crop}, data.train.root)
    run = train_model(
        config,
        model,
        lambda batch: classification_step(model, batch),
        lambda start: train_loader(view, endless_batches(len(dataset), config.run.batch, seed, start=start), data.workers),
        evaluate=None if evaluation is None else lambda: evaluation.run(model),
        score=_score,
        images=len(dataset),
        save_model=lambda path: write_model(path, model.state_dict(), card),
        device=where,
        resume=resume,
    )
    if config.recompute_bn:
        _recompute_bn(model, view, config)
        write_model(run.model, model.state_dict(), card)
        if evaluation:
            evaluation.run(model)
    metrics = evaluation.write(model, run.folder) if evaluation else {}
    draw_curves(run)
    return metrics


def _score(metrics: dict[str, Any]) -> float:
    error = metrics["top1_error"]
    return math.nan if error is None else 1 - float(error)


def _recompute_bn(model: Classifier, view: ClassificationView, config: ClassificationRunConfig) -> None:
    """Exact BN statistics over training images, seen as in training, a batch at a time (paper, appendix A)."""
    from resdet.data.loader import train_loader
    from resdet.data.samplers import endless_batches
    from resdet.models.backbones.bn_statistics import recompute_bn_statistics

    device = next(model.parameters()).device
    wanted, batch = min(config.recompute_bn, len(view)), config.run.batch
    # a seed of its own: the images are a fresh draw, not the first batches of training again
    keys = islice(endless_batches(len(view), batch, config.run.seed + 1), max(1, wanted // batch))
    batches: Iterator[Any] = train_loader(view, keys, config.data.workers)
    recompute_bn_statistics(model, (loaded.images.to(device) for loaded in batches))
