"""From a config to a finished run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.engine.run import Hook, Run
from resdet.inference.device import select_device
from resdet.training.classification.task import classification_task
from resdet.training.detection.alternating import train_alternating
from resdet.training.detection.task import detection_task
from resdet.training.localization.task import localization_task
from resdet.training.start import train_task

if TYPE_CHECKING:
    import torch

    from resdet.config.check import RunFile
    from resdet.engine.task import Task


def train_config(config: RunFile, *, device: str = "auto", resume: bool = False, hooks: Sequence[Hook] = ()) -> Run:
    """Run the whole of a config into its output folder: train, evaluate, draw.

    Args:
        config: as ``load_config`` returns it.
        device: auto, cpu, cuda or mps.
        resume: continue the run that the output folder holds.
        hooks: called besides those that log, evaluate and save.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; what is written so far stays.
    """
    where = select_device(device)
    if isinstance(config, DetectionRunConfig) and config.training == "alternating":
        run = train_alternating(config, where, resume=resume, hooks=hooks)
    else:
        run = train_task(config, build_task(config, where, resume=resume), where, resume=resume, hooks=hooks)
    run.again = functools.partial(train_config, config, device=device, resume=True)
    return run


def build_task(config: RunFile, device: torch.device, *, resume: bool = False) -> Task[Any, Any]:
    """What a config trains: its data is read, its network built.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit.
    """
    if isinstance(config, DetectionRunConfig):
        return detection_task(config, device)
    if isinstance(config, ClassificationRunConfig):
        return classification_task(config, device)
    return localization_task(config, device, resume=resume)
