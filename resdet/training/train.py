"""Turns a config into a finished run."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.data.own import IndexedDataset, own_classification_dataset, own_detection_dataset
from resdet.distributed.join import joined
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.run import Hook, Run
from resdet.engine.run_folder import holds_run
from resdet.errors import ConfigError
from resdet.inference.device import select_device
from resdet.training.classification.task import classification_task
from resdet.training.detection.alternating import train_alternating
from resdet.training.detection.task import detection_task
from resdet.training.localization.task import localization_task
from resdet.training.pretrained import check_pretrained
from resdet.training.recorded import as_recorded
from resdet.training.start import train_task

if TYPE_CHECKING:
    import torch

    from resdet.config.check import RunFile
    from resdet.engine.task import Task


def train_config(
    config: RunFile,
    *,
    device: str = "auto",
    resume: bool = False,
    hooks: Sequence[Hook] = (),
    own: Mapping[str, IndexedDataset] | None = None,
    change: Collection[str] = (),
    accept_data: bool = False,
) -> Run:
    """Do everything that a config describes in its output folder: train, evaluate, draw.

    Args:
        config: the result of ``load_config``.
        device: auto, cpu, cuda or mps.
        resume: continue the run in the output folder.
        hooks: your own hooks, in addition to those that log, evaluate and save.
        own: data sets "train" and "val" that replace the config's files.
        change: options in which the resumed run may differ from the run in the folder.
        accept_data: let the resumed run go on with other training images than it began with.

    In a process that torchrun started, all of its processes train together.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; files written so far stay.
    """
    with joined(device) as ranks:
        run = _train(
            config,
            ranks,
            device=select_device(device),
            resume=resume,
            hooks=hooks,
            own=own,
            change=change,
            accept_data=accept_data,
        )
    run.again = functools.partial(train_config, config, device=device, resume=True, own=own)
    return run


def _train(
    config: RunFile,
    ranks: Ranks,
    *,
    device: torch.device,
    resume: bool,
    hooks: Sequence[Hook],
    own: Mapping[str, IndexedDataset] | None,
    change: Collection[str],
    accept_data: bool,
) -> Run:
    # the processes that torchrun starts again are to go on, whatever the command that it has kept says
    resume = resume or ranks.restarted
    config = ranks.once(lambda: _begun(config, resume=resume))
    if isinstance(config, DetectionRunConfig) and config.training == "alternating":
        if change:
            raise ConfigError("--change is for a run of one training, option 'training' is alternating")
        if own:
            raise ConfigError("data sets of one's own are trained on jointly, option 'training' is alternating")
        return train_alternating(config, device, resume=resume, hooks=hooks, accept_data=accept_data, ranks=ranks)
    task = build_task(config, device, resume=resume, own=own, ranks=ranks)
    return train_task(config, task, device, resume=resume, hooks=hooks, change=change, accept_data=accept_data, ranks=ranks)


def _begun(config: RunFile, *, resume: bool) -> RunFile:
    """The config with what the run in its folder has decided; of a new run, its weights are looked for."""
    if resume and holds_run(config.output):
        return as_recorded(config)
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
    """The task of a config, with its data read and its network built; arguments are those of ``train_config``.

    ``ranks`` are the processes that train together.

    Raises:
        ConfigError, DataError: with every problem of the data, or weights that do not fit.
    """
    given = own or {}
    if isinstance(config, DetectionRunConfig):
        names = config.data.names
        detected = {part: own_detection_dataset(items, _names(items, names)) for part, items in given.items()}
        return detection_task(config, device, **detected, ranks=ranks)
    if isinstance(config, ClassificationRunConfig):
        classified = {part: own_classification_dataset(items, _names(items)) for part, items in given.items()}
        return classification_task(config, device, **classified, ranks=ranks)
    if own:
        raise ConfigError("localizers are trained on files, not on data sets of one's own")
    return localization_task(config, device, resume=resume, ranks=ranks)


def _names(items: IndexedDataset, names: Sequence[str] = ()) -> Sequence[str]:
    """The class names of a data set: the given ones, or else its attribute ``classes``, as in torchvision."""
    found = names or getattr(items, "classes", ())
    if not found:
        raise ConfigError(f"{type(items).__name__}: must have 'classes', the class names in label order")
    return [str(name) for name in found]
