"""What the training commands have in common: from a config and its parts to a finished run folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import resdet
from resdet.config import config_to_dict, config_to_yaml
from resdet.engine.lr_schedule import WarmupMultiStep
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import run_training
from resdet.engine.run_folder import RunFolder, open_run
from resdet.engine.train_loop import BatchT
from resdet.errors import ResdetError
from resdet.models.model_file import ModelCard
from resdet.report.curves import plot_log

if TYPE_CHECKING:
    from torch import Tensor

    from resdet.config.load import RunFile
    from resdet.models.classifier import Classifier
    from resdet.models.detection.faster_rcnn import FasterRCNN


def model_card(config: RunFile, model: FasterRCNN | Classifier, test: dict[str, Any], data: str) -> ModelCard:
    """The card of a model that ``config`` trains; ``test`` is how images are resized, ``data`` names the training files."""
    return ModelCard(
        task=config.task,
        architecture=config_to_dict(config.model),
        names=list(model.names),
        pixels=model.pixels.to_dict(),
        test=test,
        provenance={
            "resdet": resdet.__version__,
            "torch": torch.__version__,
            "data": data,
            "batch": config.run.batch,
            "seed": config.run.seed,
            "optimizer": config_to_dict(config.optimizer),
            "schedule": config_to_dict(config.schedule),
        },
    )


def train_model(
    config: RunFile,
    model: FasterRCNN | Classifier,
    step: Callable[[BatchT], Mapping[str, Tensor]],
    batches: Callable[[int], Iterator[BatchT]],
    *,
    evaluate: Callable[[], dict[str, Any]] | None,
    score: Callable[[dict[str, Any]], float],
    images: int,
    save_model: Callable[[Path], None],
    device: torch.device,
    resume: bool,
) -> RunFolder:
    """Open the run folder of ``config`` and train in it on so many ``images``; ``run_training`` says what the parts are.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: what is written so far stays.
    """
    # opened last, when data and model are known to be good: a mistake there leaves no folder behind
    run = open_run(config.output, config_to_yaml(config), resume)
    optimizer, schedule = config.optimizer, config.schedule
    run_training(
        run,
        model,
        step,
        build_sgd(model, optimizer.lr, optimizer.momentum, optimizer.weight_decay),
        WarmupMultiStep(optimizer.lr, schedule.milestones, schedule.gamma, schedule.warmup_iterations, schedule.warmup_factor),
        batches,
        evaluate=evaluate,
        score=score,
        data={"names": list(model.names), "images": images},
        save_model=save_model,
        iterations=schedule.iterations,
        seed=config.run.seed,
        device=device,
        log_every=config.run.log_every,
        checkpoint_every=config.run.checkpoint_every,
        eval_every=config.run.eval_every,
        clip_norm=optimizer.clip_norm,
    )
    return run


def draw_curves(run: RunFolder) -> None:
    """Draw ``report/curves.png``; a log that cannot be drawn is a warning, for the run itself is done."""
    try:
        plot_log(run.log, run.folder / "report" / "curves.png")
    except ResdetError as error:
        warnings.warn(f"no learning curves: {error}", stacklevel=2)
