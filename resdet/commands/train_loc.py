"""Train a localizer: per-class regression of boxes on a residual network."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from resdet.commands.common import add_train_arguments, run_config

if TYPE_CHECKING:
    from resdet.config.schema import LocalizationRunConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train-loc``."""
    add_train_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train one stage, evaluate, and leave a run folder."""
    from resdet.config.schema import LocalizationRunConfig

    train_localizer(run_config(args, LocalizationRunConfig), device=args.device, resume=args.resume)
    return 0


def train_localizer(config: LocalizationRunConfig, *, device: str = "auto", resume: bool = False) -> dict[str, Any]:
    """Run the whole of a localization config into its output folder: the per-class RPN, or the R-CNN stage on a trained one.

    Args:
        config: as ``load_config`` returns it.
        device: auto, cpu, cuda or mps.
        resume: continue the run that the output folder holds.

    Returns:
        The metrics of the last evaluation, as in ``metrics.json``, the classes being given; {} without a validation set.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    from resdet.commands.localization_evaluation import LocalizationEvaluation
    from resdet.commands.localization_training import Localizing, read_training_images, train_region_net, train_rpn
    from resdet.commands.training import draw_curves
    from resdet.engine.seed import seed_everything
    from resdet.inference.device import select_device
    from resdet.inference.load_localizer import make_localizer
    from resdet.models.build import start_localizer
    from resdet.models.localization.rcnn import RegionLocalizer

    data, where = config.data, select_device(device)
    images = read_training_images(data)
    evaluation = LocalizationEvaluation(data, images.dataset.names) if data.val.root else None
    seed_everything(config.run.seed)
    model = start_localizer(config.model, images.dataset.names).to(where)

    def evaluate(network: Localizing) -> dict[str, Any]:
        return evaluation.run(make_localizer([network], config.model.test, data.crop)) if evaluation else {}

    measure = evaluate if evaluation else None
    trained: Localizing
    if isinstance(model, RegionLocalizer):
        run, trained = train_region_net(config, model, images, evaluate=measure, score=_score, device=where, resume=resume)
    else:
        run, trained = train_rpn(config, model, images, evaluate=measure, score=_score, device=where, resume=resume)
    draw_curves(run)
    if evaluation is None:
        return {}
    if not evaluation.metrics:  # a resumed run that had ended
        evaluate(trained)
    return evaluation.write(run.folder)


def _score(metrics: dict[str, Any]) -> float:
    error = metrics["gt_class_loc_error"]
    return math.nan if error is None else 1 - float(error)
