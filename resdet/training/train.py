"""Turns a config into a finished run."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.data.own import IndexedDataset, class_names, own_classification_dataset, own_detection_dataset
from resdet.distributed.join import joined
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.run import Hook, Run
from resdet.engine.run_folder import holds_run
from resdet.errors import ConfigError
from resdet.inference.device import select_device
from resdet.training.classification.task import classification_task
from resdet.training.detection.alternating import train_alternating
from resdet.training.detection.task import detection_task
from resdet.training.how import ANEW, How
from resdet.training.localization.task import localization_task
from resdet.training.pretrained import check_pretrained
from resdet.training.recorded import as_recorded
from resdet.training.start import train_task

if TYPE_CHECKING:
    import torch

    from resdet.config.check import RunFile
    from resdet.engine.task import Task


_log = logging.getLogger(__name__)


def train_config(
    config: RunFile,
    device: str = "auto",
    how: How = ANEW,
    own: Mapping[str, IndexedDataset] | None = None,
) -> Run:
    """Do everything that a config describes in its output folder: train, evaluate, draw.

    In a process that torchrun started, all of its processes train together.

    Args:
        config: the result of ``load_config``.
        device: auto, cpu, cuda or mps.
        how: whether the run in the folder is continued, with what hooks, and so on.
        own: data sets "train" and "val" that replace the config's files.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; files written so far stay.
    """
    with joined(device) as ranks:
        # the processes that torchrun starts again are to go on, whatever the command that it has kept says
        how, where = replace(how, ranks=ranks, resume=how.resume or ranks.restarted), select_device(device)
        begun = ranks.once(lambda: _begun(config, resume=how.resume))
        if isinstance(begun, DetectionRunConfig) and begun.training == "alternating":
            _check_alternating(how, own)
            run = train_alternating(begun, where, how)
        else:
            run = train_task(begun, build_task(begun, where, resume=how.resume, own=own, ranks=ranks), where, how)
    run.again = functools.partial(_again, config, device, own)
    return run


def _again(config: RunFile, device: str, own: Mapping[str, IndexedDataset] | None, hooks: Sequence[Hook]) -> Run:
    """Continue a run; what ``Run.resume`` calls."""
    return train_config(config, device, How(resume=True, hooks=hooks), own)


def _check_alternating(how: How, own: Mapping[str, IndexedDataset] | None) -> None:
    """Raise a ConfigError for what only a run of one training can do."""
    if how.change:
        raise ConfigError("--change is for a run of one training, option 'training' is alternating")
    if own:
        raise ConfigError("data sets of one's own are trained on jointly, option 'training' is alternating")


def _begun(config: RunFile, *, resume: bool) -> RunFile:
    """The config with what the run in its folder has decided; of a new run, its weights are looked for."""
    if resume and holds_run(config.output):
        return as_recorded(config)
    if resume:  # no mistake where a job is always begun with it, but one where the folder is another than was meant
        _log.info("%s holds no run to resume: training begins from the start", config.output)
    check_pretrained(config)
    return config


def build_task(
    config: RunFile,
    device: torch.device,
    *,
    resume: bool = False,
    own: Mapping[str, IndexedDataset] | None = None,
    ranks: Ranks = ALONE,
) -> Task[Any, Any]:
    """The task of a config, with its data read and its network built.

    Args:
        config: the result of ``load_config``.
        device: the device of the network.
        resume: whether the run in the output folder is continued.
        own: data sets "train" and "val" that replace the config's files.
        ranks: the processes that train together.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit.
    """
    given = own or {}
    if isinstance(config, DetectionRunConfig):
        names = config.data.names
        detected = {part: own_detection_dataset(items, names or class_names(items)) for part, items in given.items()}
        return detection_task(config, device, **detected, ranks=ranks)
    if isinstance(config, ClassificationRunConfig):
        classified = {part: own_classification_dataset(items, class_names(items)) for part, items in given.items()}
        return classification_task(config, device, **classified, ranks=ranks)
    if own:
        raise ConfigError("localizers are trained on files, not on data sets of one's own")
    return localization_task(config, device, resume=resume, ranks=ranks)
