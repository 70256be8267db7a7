"""Train a detector: Faster R-CNN on ResNet-C4."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from resdet.commands.common import add_train_arguments, run_config
from resdet.errors import DataError

if TYPE_CHECKING:
    from resdet.config.schema import DetectionRunConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-det``."""
    add_train_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, and leave a run folder."""
    from resdet.config.schema import DetectionRunConfig

    train_detector(run_config(args, DetectionRunConfig), device=args.device, resume=args.resume)
    return 0


def train_detector(config: DetectionRunConfig, *, device: str = "auto", resume: bool = False) -> dict[str, Any]:
    """Run the whole of a detection config into its output folder.

    Args:
        config: as ``load_config`` returns it.
        device: auto, cpu or cuda.
        resume: continue the run that the output folder holds.

    Returns:
        The metrics of the last evaluation, as in ``metrics.json``; {} without a validation set.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    from resdet.commands.evaluation import DetectorEvaluation
    from resdet.commands.training import draw_curves, model_card, train_model
    from resdet.data.catalog import build_dataset
    from resdet.data.dataset import aspect_groups, usable_indices
    from resdet.data.loader import DetectionView, train_loader
    from resdet.data.samplers import endless_batches
    from resdet.data.transforms import DetectionTrainTransform
    from resdet.engine.seed import seed_everything
    from resdet.inference.load import select_device
    from resdet.models.build import build_detector
    from resdet.models.model_file import write_model

    data, where, seed = config.data, select_device(device), config.run.seed
    dataset = build_dataset(data.train, data.names or None)
    indices = usable_indices(dataset) if data.skip_empty else list(range(len(dataset)))
    if not indices:
        raise DataError(f"{dataset.source}: no image with a usable object to train on")
    evaluation = DetectorEvaluation(data, dataset.names) if data.val.root else None
    view = DetectionView(dataset, DetectionTrainTransform(tuple(data.short_side), data.max_side, data.hflip), seed)
    groups = aspect_groups(dataset, indices)

    seed_everything(seed)
    model = build_detector(config.model, dataset.names).to(where)
    card = model_card(config, model, {"short_side": data.test_short_side, "max_side": data.max_side}, dataset.source)
    run, trained = train_model(
        config,
        model,
        lambda batch: model.losses(batch.images, batch.targets),
        lambda start: train_loader(view, endless_batches(indices, config.run.batch, seed, groups, start), data.workers),
        evaluate=None if evaluation is None else evaluation.run,
        score=detection_score,
        images=len(indices),
        save_model=lambda network, path: write_model(path, network.state_dict(), card),
        device=where,
        resume=resume,
    )
    metrics = evaluation.write(trained, run.folder) if evaluation else {}
    draw_curves(run)
    return metrics


def detection_score(metrics: dict[str, Any]) -> float:
    """The number by which the best model is chosen: VOC's mAP where it is measured, else COCO's AP; NaN when there is none."""
    value = metrics["voc"]["mAP"] if "voc" in metrics else metrics["bbox"]["AP"]
    return math.nan if value is None else float(value)
