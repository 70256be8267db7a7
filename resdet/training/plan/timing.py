"""Times a training step and an evaluated image of a config on this machine, before a run begins."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass, replace

import torch

from resdet.config.schema import DetectionRunConfig
from resdet.data.dataset import DetectionDataset, subset
from resdet.engine.run import Hook, Run
from resdet.engine.train_loop import train
from resdet.models.build import start_detector
from resdet.training.detection.evaluation import DetectorEvaluation
from resdet.training.detection.images import read_training_images
from resdet.training.detection.task import DetectionTask
from resdet.training.kernels import choose_kernels
from resdet.training.start import assembled

_WARM, _TIMED = 2, 6


@dataclass(frozen=True)
class Timing:
    """Seconds of wall time on this machine.

    Attributes:
        step: the time of a training step.
        image: of detecting on an image.
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
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself warns again
        config = replace(config, output=folder, data=replace(config.data, workers=0))
        images = read_training_images(config.data, dataset)
        model = start_detector(config.model, dataset.names).to(device)
        run = assembled(config, DetectionTask(config, images, model), device)
        _, run.network = choose_kernels(config, model, device)
        times = _StepTimes()
        run.iterations, run.hooks = _WARM + _TIMED, [times]
        train(run)
        evaluation = DetectorEvaluation(
            config.data, dataset.names, config.model.test, dataset=subset(dataset, [0, 1][: len(dataset)])
        )
        began = time.perf_counter()
        evaluation.run(model)
        return Timing(statistics.median(times.seconds), (time.perf_counter() - began) / min(2, len(dataset)))
