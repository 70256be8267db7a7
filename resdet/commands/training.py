"""What the training commands have in common: from a config and its parts to a finished run folder."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

import resdet
from resdet.commands.training_kernels import choose_kernels, machine_notes
from resdet.config import config_to_dict, config_to_yaml
from resdet.engine.averaging import moving_average
from resdet.engine.lr_schedule import Cosine, Factor, LearningRate, LinearWarmup, Plateau, Steps, WarmupUntilError
from resdet.engine.optimizer import build_sgd
from resdet.engine.precision import Precision
from resdet.engine.run import run_training
from resdet.engine.run_folder import RunFolder, open_run
from resdet.engine.train_loop import BatchT
from resdet.errors import ResdetError
from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import ModelCard
from resdet.report.curves import plot_log

if TYPE_CHECKING:
    from torch import Tensor

    from resdet.config.check import RunFile
    from resdet.config.schema import ScheduleConfig

Model = Classifier | FasterRCNN | PerClassRPN | RegionLocalizer
ModelT = TypeVar("ModelT", Classifier, FasterRCNN, PerClassRPN, RegionLocalizer)


def model_card(config: RunFile, model: Model, test: dict[str, Any], data: str) -> ModelCard:
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


def in_iterations(schedule: ScheduleConfig, images: int, batch: int) -> ScheduleConfig:
    """The same schedule without epochs: one is ``images / batch`` iterations; what does not come out even is rounded up."""
    changes: dict[str, Any] = {}
    if schedule.epochs:
        changes |= {"epochs": 0.0, "iterations": math.ceil(schedule.epochs * images / batch)}
    if schedule.milestone_epochs:
        milestones = [max(1, math.ceil(milestone * images / batch)) for milestone in schedule.milestone_epochs]
        changes |= {"milestone_epochs": [], "milestones": milestones}
    return replace(schedule, **changes)


def build_schedule(lr: float, schedule: ScheduleConfig) -> LearningRate:
    """The learning rate of a schedule in iterations."""
    policy: Factor = Steps(schedule.milestones, schedule.gamma)
    if schedule.policy == "plateau":
        policy = Plateau(schedule.gamma, schedule.patience, schedule.threshold)
    elif schedule.policy == "cosine":
        policy = Cosine(schedule.iterations)
    warmup: Factor = LinearWarmup(schedule.warmup_iterations, schedule.warmup_factor)
    if schedule.warmup_until_error:
        warmup = WarmupUntilError(schedule.warmup_until_error, schedule.warmup_factor)
    return LearningRate(lr, policy, warmup)


def train_model(
    config: RunFile,
    model: ModelT,
    step: Callable[[ModelT, BatchT], Mapping[str, Tensor]],
    batches: Callable[[int], Iterator[BatchT]],
    *,
    evaluate: Callable[[ModelT], dict[str, Any]] | None,
    score: Callable[[dict[str, Any]], float],
    images: int,
    save_model: Callable[[ModelT, Path], None],
    device: torch.device,
    resume: bool,
    origin: Mapping[str, str] | None = None,
) -> tuple[RunFolder, ModelT]:
    """Open the run folder of ``config`` and train in it on so many ``images``; ``run_training`` says what the parts are.

    ``step`` is given the network that takes it: ``model``, or its twin of ``choose_kernels``.
    ``origin`` names what else the run comes from, besides its config and images; a resumed run must come from the same.

    Returns:
        The folder, and the network that was evaluated and saved: ``model``, or the moving average of its weights.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: what is written so far stays.
    """
    optimizer, run = config.optimizer, config.run
    schedule = in_iterations(config.schedule, images, run.batch)
    precision = Precision(run.precision, device)
    if run.channels_last:
        model.to(memory_format=torch.channels_last)
    average = moving_average(model, run.ema) if run.ema else None
    shown = model if average is None else cast(ModelT, average.module)
    for part in model.modules():
        if isinstance(part, ResidualBlock):
            part.recompute = run.checkpoint_activations
    if run.compile:
        for part in _convolutions(model):
            part.compile()
    sgd = build_sgd(
        model,
        optimizer.lr,
        optimizer.momentum,
        optimizer.weight_decay,
        decay_norm_and_bias=optimizer.decay_norm_and_bias,
    )
    config, network = choose_kernels(config, model, device)
    network.train()
    # opened last, when data and model are known to be good: a mistake there leaves no folder behind
    with open_run(config.output, config_to_yaml(config), resume) as folder:
        run_training(
            folder,
            model,
            lambda batch: step(network, batch),
            sgd,
            build_schedule(optimizer.lr, schedule),
            batches,
            evaluate=None if evaluate is None else lambda: evaluate(shown),
            score=score,
            data={"names": list(model.names), "images": images, **(origin or {})},
            save_model=lambda path: save_model(shown, path),
            machine=machine_notes(config),
            iterations=schedule.iterations,
            seed=run.seed,
            device=device,
            log_every=run.log_every,
            checkpoint_every=run.checkpoint_every,
            eval_every=run.eval_every,
            clip_norm=optimizer.clip_norm,
            accumulate=run.accumulate,
            precision=precision,
            average=average,
        )
    return folder, shown


def _convolutions(model: Model) -> tuple[torch.nn.Module, ...]:
    """The parts of a network that are worth compiling."""
    if isinstance(model, FasterRCNN):
        return model.trunk, model.roi_heads.res5
    return (model.backbone if isinstance(model, Classifier) else model.body,)


def draw_curves(run: RunFolder) -> None:
    """Draw ``report/curves.png``; a log that cannot be drawn is a warning, for the run itself is done."""
    try:
        plot_log(run.log, run.folder / "report" / "curves.png")
    except ResdetError as error:
        warnings.warn(f"no learning curves: {error}", stacklevel=2)
