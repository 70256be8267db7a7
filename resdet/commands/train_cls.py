"""Train a classifier, the network that pretrains detectors."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from resdet.commands.common import add_train_arguments, run_config
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resdet.config.schema import ClassificationRunConfig
    from resdet.data.loading.views import ClassificationView
    from resdet.models.classifier import Classifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-cls``."""
    add_train_arguments(parser)
    parser.add_argument(
        "--recompute-bn",
        action="store_true",
        help="do not train: give the model in the output folder exact BN statistics over recompute_bn training images "
        "(0: all), and evaluate it again",
    )


def run(args: argparse.Namespace) -> int:
    """Train, recompute BN statistics, evaluate, and leave a run folder."""
    from resdet.config.schema import ClassificationRunConfig

    config = run_config(args, ClassificationRunConfig)
    if args.recompute_bn:
        refresh_classifier(config, device=args.device)
    else:
        train_classifier(config, device=args.device, resume=args.resume)
    return 0


def train_classifier(config: ClassificationRunConfig, *, device: str = "auto", resume: bool = False) -> dict[str, Any]:
    """Run the whole of a classification config into its output folder.

    Args:
        config: as ``load_config`` returns it.
        device: auto, cpu, cuda or mps.
        resume: continue the run that the output folder holds.

    Returns:
        The metrics of the final model, as in ``metrics.json``; {} without a validation set.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    from resdet.commands.evaluation import ClassifierEvaluation
    from resdet.commands.training import draw_curves, model_card, train_model
    from resdet.data.catalog import build_classification_dataset, build_mean_image, build_train_transform
    from resdet.data.loading.loader import train_loader
    from resdet.data.loading.samplers import endless_batches
    from resdet.data.loading.views import ClassificationView
    from resdet.data.transforms.mixing import build_mixing
    from resdet.engine.seed import seed_everything
    from resdet.inference.device import select_device
    from resdet.models.build import build_classifier
    from resdet.models.classifier import classification_step
    from resdet.models.model_file import write_model

    data, rules, where, seed = config.data, config.regularization, select_device(device), config.run.seed
    dataset = build_classification_dataset(data.train)
    evaluation = ClassifierEvaluation(data, config.test, dataset.names) if data.val.root else None
    view = ClassificationView(dataset, build_train_transform(data), seed, fast=data.decode == "fast")
    pin = where.type == "cuda"
    mix = build_mixing(rules.mixup, rules.cutmix, len(dataset.names))

    seed_everything(seed)
    model = build_classifier(config.model, dataset.names, build_mean_image(data, dataset)).to(where)
    _check_parts(config, model, len(dataset))
    card = model_card(config, model, {"short_side": data.test_short_side, "crop": data.crop}, data.train.root)

    def save_model(network: Classifier, path: Path) -> None:
        write_model(path, network.state_dict(), card)

    run, trained = train_model(
        config,
        model,
        lambda network, batch: classification_step(network, batch, label_smoothing=rules.label_smoothing, mix=mix),
        lambda start: train_loader(
            view, endless_batches(len(dataset), config.run.batch, seed, start=start), data.workers, pin=pin
        ),
        evaluate=evaluation.run if evaluation else None,
        score=_score,
        images=len(dataset),
        save_model=save_model,
        device=where,
        resume=resume,
    )
    if config.recompute_bn:
        _recompute_bn(trained, view, config, config.recompute_bn)
        save_model(trained, run.model)
        if evaluation:
            evaluation.run(trained)
    metrics = evaluation.write(trained, run.folder) if evaluation else {}
    draw_curves(run)
    return metrics


def refresh_classifier(config: ClassificationRunConfig, *, device: str = "auto") -> dict[str, Any]:
    """Recompute the BN statistics of a finished run's ``model.safetensors`` over its training images, in place.

    Args:
        config: of the run; ``recompute_bn`` is the number of images, 0: all.
        device: auto, cpu, cuda or mps.

    Returns:
        The metrics of the refreshed model, as in ``metrics.json``; {} without a validation set.

    Raises:
        ConfigError, DataError: no model in the output folder, one of another network, or data that does not fit it.
    """
    from resdet.commands.evaluation import ClassifierEvaluation
    from resdet.data.catalog import build_classification_dataset, build_train_transform
    from resdet.data.loading.views import ClassificationView
    from resdet.inference.device import select_device
    from resdet.models.build import load_model
    from resdet.models.classifier import Classifier
    from resdet.models.model_file import write_model

    path = Path(config.output) / "model.safetensors"
    loaded, card = load_model(path, config.model)
    model = cast(Classifier, loaded).to(select_device(device))  # load_model has checked that it is what the config describes
    dataset = build_classification_dataset(config.data.train, model.names)
    evaluation = ClassifierEvaluation(config.data, config.test, model.names) if config.data.val.root else None
    fast = config.data.decode == "fast"
    view = ClassificationView(dataset, build_train_transform(config.data), config.run.seed, fast=fast)
    _recompute_bn(model, view, config, config.recompute_bn or len(view))
    write_model(path, model.state_dict(), card)
    return evaluation.write(model, path.parent) if evaluation else {}


def _check_parts(config: ClassificationRunConfig, model: Classifier, dataset: int) -> None:
    """Refuse what would leave BN a single value, or a single image, before hours are spent on training."""
    from resdet.inference.dense import training_window

    if config.recompute_bn and min(config.recompute_bn, dataset) < 2:
        raise ConfigError(f"option 'recompute_bn' must be at least 2 images, got {config.recompute_bn} of {dataset}")
    images = config.run.batch // config.run.accumulate
    if images < 2 and training_window(model.backbone.spec, config.data.crop) == 1:
        raise ConfigError(
            f"options 'run.batch' {config.run.batch} and 'run.accumulate' {config.run.accumulate} leave {images} image at a "
            f"time, and 'data.crop' {config.data.crop} one position of the last map: BN needs at least two values"
        )


def _score(metrics: dict[str, Any]) -> float:
    error = metrics["top1_error"]
    return math.nan if error is None else 1 - float(error)


def _recompute_bn(model: Classifier, view: ClassificationView, config: ClassificationRunConfig, images: int) -> None:
    """Exact BN statistics over so many training images, seen as in training, parts of a batch at a time (paper, appendix A)."""
    from resdet.data.loading.loader import train_loader
    from resdet.data.loading.samplers import endless_batches
    from resdet.models.backbones.bn_statistics import recompute_bn_statistics

    device = next(model.parameters()).device
    # a seed of its own: the images are a fresh draw, not the first batches of training again
    chosen = next(endless_batches(len(view), min(images, len(view)), config.run.seed + 1))
    part = max(2, config.run.batch // config.run.accumulate)
    keys = [chosen[first : first + part] for first in range(0, len(chosen), part)]
    batches: Iterator[Any] = train_loader(view, keys, config.data.workers)
    recompute_bn_statistics(model, (loaded.images.to(device) for loaded in batches))
