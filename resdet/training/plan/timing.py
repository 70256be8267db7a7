"""Times a training step and an evaluated image of a config on this machine, before a run begins.

Of several processes one times its share of a batch, while the others wait.
"""

from __future__ import annotations

import contextlib
import logging
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, RunConfig
from resdet.data.dataset import DetectionDataset, subset
from resdet.data.formats.folder import FileDataset
from resdet.distributed.join import process_count
from resdet.engine.run import Hook, Run
from resdet.engine.task import Task
from resdet.engine.train_loop import train
from resdet.models.build import start_classifier, start_detector
from resdet.training.classification.evaluation import ClassifierEvaluation
from resdet.training.classification.task import ClassificationTask
from resdet.training.detection.evaluation import DetectorEvaluation
from resdet.training.detection.images import read_training_images
from resdet.training.detection.task import DetectionTask
from resdet.training.kernels import choose_kernels
from resdet.training.start import assembled

if TYPE_CHECKING:
    from resdet.config.check import RunFile

_WARM, _TIMED = 2, 6
_CLASSIFIED = 16  # images that a classifier is timed on


@dataclass(frozen=True)
class Timing:
    """Seconds of wall time on this machine.

    Attributes:
        step: the time of a training step.
        image: of evaluating on an image; of several processes, the time of all images by their number.
    """

    step: float
    image: float


class _StepTimes(Hook):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def after_step(self, run: Run) -> None:
        """Keep the time of the step."""
        if run.iteration > _WARM:
            self.seconds.append(run.step_time)


def time_detection(config: DetectionRunConfig, dataset: DetectionDataset, device: torch.device) -> Timing:
    """Train a network of the config for a few steps on the data, and detect on two images; the network is thrown away.

    Args:
        config: the config of the run.
        dataset: the training images.
        device: the device that the run will use.

    Raises:
        ConfigError, DataError: as training would raise; TrainingError, when the loss is not finite.
    """
    with _aside() as folder:
        config = replace(config, output=folder, data=replace(config.data, workers=0), run=_share(config.run))
        images = read_training_images(config.data, dataset)
        model = start_detector(config.model, dataset.names).to(device)
        step = _step(config, DetectionTask(config, images, model), device)
        few = subset(dataset, [0, 1][: len(dataset)])
        evaluation = DetectorEvaluation(config.data, dataset.names, config.model.test, dataset=few)
        return Timing(step, _seconds(lambda: evaluation.run(model)) / len(few) / process_count())


def time_classification(config: ClassificationRunConfig, dataset: FileDataset, device: torch.device) -> Timing:
    """The same for a classifier, which is evaluated on a few more images, for they go through the network together."""
    with _aside() as folder:
        config = replace(config, output=folder, data=replace(config.data, workers=0), run=_share(config.run))
        model = start_classifier(config.model, dataset.names).to(device)
        step = _step(config, ClassificationTask(config, dataset, model), device)
        few = replace(dataset, files=dataset.files[:_CLASSIFIED], labels=dataset.labels[:_CLASSIFIED])
        evaluation = ClassifierEvaluation(config.data, config.test, dataset.names, few)
        return Timing(step, _seconds(lambda: evaluation.run(model)) / len(few) / process_count())


@contextlib.contextmanager
def _aside() -> Iterator[str]:
    """A folder for what is thrown away; what the run itself will warn of and log is kept quiet."""
    logger = logging.getLogger("resdet")
    level = logger.level
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield folder
        finally:
            logger.setLevel(level)


def _share(options: RunConfig) -> RunConfig:
    """The options with the batch that one process has of theirs."""
    batch = math.ceil(options.batch / process_count())
    return replace(options, batch=batch, accumulate=min(options.accumulate, batch))


def _step(config: RunFile, task: Task[Any, Any], device: torch.device) -> float:
    """The median seconds of a task's steps."""
    run = assembled(config, task, device)
    _, run.network = choose_kernels(config, task.model, device)
    times = _StepTimes()
    run.iterations, run.hooks = _WARM + _TIMED, [times]
    train(run)
    return statistics.median(times.seconds)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
