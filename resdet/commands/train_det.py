"""Train a detector: Faster R-CNN on ResNet-C4."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from resdet.commands.common import add_train_arguments, run_config

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
        device: auto, cpu, cuda or mps.
        resume: continue the run that the output folder holds.

    Returns:
        The metrics of the last evaluation, as in ``metrics.json``; {} without a validation set.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    from resdet.commands.alternating import train_alternating
    from resdet.commands.detection_training import read_training_images, train_parts
    from resdet.commands.evaluation import DetectorEvaluation
    from resdet.commands.training import draw_curves
    from resdet.engine.seed import seed_everything
    from resdet.inference.device import select_device
    from resdet.models.build import start_detector

    where = select_device(device)
    images = read_training_images(config.data)
    names = images.dataset.names
    evaluation = DetectorEvaluation(config.data, names, config.model.test) if config.data.val.root else None
    if config.training == "alternating":
        return train_alternating(config, images, evaluation, device=where, resume=resume)
    seed_everything(config.run.seed)
    run, trained = train_parts(
        config,
        start_detector(config.model, names).to(where),
        images,
        proposals=images.proposals,
        device=where,
        resume=resume,
        evaluate=None if evaluation is None else evaluation.run,
        score=detection_score,
    )
    metrics = evaluation.write(trained, run.folder) if evaluation else {}
    draw_curves(run)
    return metrics


def detection_score(metrics: dict[str, Any]) -> float:
    """The number by which the best model is chosen: VOC's mAP where it is measured, else COCO's AP; NaN when there is none."""
    value = metrics["voc"]["mAP"] if "voc" in metrics else metrics["bbox"]["AP"]
    return math.nan if value is None else float(value)
